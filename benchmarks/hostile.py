"""Whether hostile clients slow a well-behaved one: `python -m benchmarks.hostile [--airflow] [--clients 100]`.

On services of its own, over drawn scenes under the dual encoder that ships. One client searches by texts, by pictures
and in SQL, one after the other; in Airflow (`--airflow`) it opens Airflow's own pages, too. First alone, then while
others do their worst: URLs that never answer, JPEGs of many scans, large PNGs, bodies that come slowly, changes of one
collection that wait for its lock, filters over all rows, long answers and pages. Each has an address of its own on
loopback, and asks again a moment after it was answered, whatever `Retry-After` says. The last line is JSON: 95th
percentiles in milliseconds of both times, and how many times the second is the first.
"""

import argparse
import base64
import http.client
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
from dotenv import dotenv_values
from PIL import Image

from benchmarks.needs import positive, reported, run, whole
from benchmarks.service import COLLECTION, SCENES, TEXTS, TOKEN, project, rounded, serving
from benchmarks.shipped import HELD_OUT
from image_retrieval.local import airflow, services
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings

PAUSE = 0.5  # seconds after an answer
STARTED_SECONDS = 5.0  # after which all of them are at it
LOCK_SECONDS = 2.0  # that somebody holds the lock of the collection, again and again
AIRFLOW_PAGES = ("/api/v2/monitor/health", "/api/v2/dags?limit=50", "/")
EXPENSIVE = {"or": [{"caption": {"match": f"红{word} {word}"}} for word in "abcdefghijklmnopqrstuvwxyz"]}
SQL = "SELECT image_id FROM images.search_text(%s, %s, 10)"
GET_TOKEN = """
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
user = SimpleAuthManagerUser(username="admin", role="admin", teams=None)
print("token", create_auth_manager().generate_jwt(user))
"""


@dataclass(frozen=True)
class Place:
    """Where the service is: host and port, what comes before its paths, what a client sends as Authorization."""

    netloc: str
    prefix: str
    token: str


def connected(place: Place, number: int, seconds: float) -> http.client.HTTPConnection:
    """A connection from a client's own address."""
    source = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
    return http.client.HTTPConnection(place.netloc, timeout=seconds, source_address=source)


def asked(place: Place, number: int, method: str, path: str, body: bytes = b"", seconds: float = 120) -> int:
    """The status of an answer, which is read."""
    connection = connected(place, number, seconds)
    head = {"Authorization": place.token, "Content-Type": "application/json"}
    try:
        connection.request(method, place.prefix + path, body or None, head)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def search_body(**form: object) -> bytes:
    return json.dumps({"collection": COLLECTION, **form}).encode()


def scan_bomb(side: int, scans: int) -> bytes:
    """A progressive JPEG of one colour whose last scan is repeated."""
    file = io.BytesIO()
    Image.new("L", (side, side), 128).save(file, "JPEG", progressive=True, quality=50)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans - data.count(b"\xff\xda")) + data[-2:]


def large_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9000, 9000), (10, 20, 30)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def attacks(place: Place, silent: str) -> list[Callable[[int], object]]:
    """What hostile clients do, each over and over: a function of the client's number."""
    bombs = [scan_bomb(13_000, 3_000), scan_bomb(5_400, 95), scan_bomb(13_000, 14), large_png()]
    bodies = [search_body(images=[{"base64": encoded(bomb)}]) for bomb in bombs]

    def slow_body(number: int) -> None:
        connection = connected(place, number, 60)
        connection.putrequest("POST", f"{place.prefix}/api/search")
        head = {"Authorization": place.token, "Content-Type": "application/json", "Content-Length": "100000"}
        for name, value in head.items():
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for _ in range(30):
                connection.send(b" ")
                time.sleep(1)
        finally:
            connection.close()

    def posted(body: Callable[[], bytes]) -> Callable[[int], object]:
        return lambda number: asked(place, number, "POST", "/api/search", body())

    def text() -> list[dict[str, str]]:
        return [{"text": random.choice(TEXTS)}]

    return [
        posted(lambda: search_body(images=[{"url": silent}])),
        posted(lambda: random.choice(bodies)),
        slow_body,
        lambda number: asked(place, number, "DELETE", f"/api/collections/{COLLECTION}/images/none-{number}"),
        posted(lambda: search_body(texts=text(), filter=EXPENSIVE, k=500)),
        posted(lambda: search_body(texts=text(), k=500, offset=500, min_score=-1)),
        lambda number: asked(place, number, "GET", f"/api/collections/{COLLECTION}/images?limit=500"),
    ]


def hostile(place: Place, clients: int, seconds: float) -> Counter[str]:
    """So many clients that do their worst for so long, once a line is printed; how often each status came."""
    seen: Counter[str] = Counter()
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as server:
        kinds = attacks(place, f"http://127.0.0.1:{server.getsockname()[1]}/a.jpg")
        print("ready", flush=True)
        until = time.monotonic() + seconds

        def one(number: int) -> None:
            kind = kinds[number % len(kinds)]
            while time.monotonic() < until:
                try:
                    told = str(kind(number))
                except (OSError, http.client.HTTPException) as error:
                    told = type(error).__name__
                seen[f"{number % len(kinds)}: {told}"] += 1
                time.sleep(PAUSE)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))
    return seen


@contextmanager
def attacked(place: Place, clients: int, seconds: float, settings: Settings) -> Iterator[None]:
    """Hostile clients, in a process of their own, and somebody who holds the collection's lock."""
    command = [sys.executable, "-m", "benchmarks.hostile", "--be-hostile", json.dumps(vars(place))]
    command += ["--clients", str(clients), "--seconds", str(seconds + STARTED_SECONDS)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # its pictures are made
    over = threading.Event()
    holder = threading.Thread(target=hold_lock, args=(settings, over))
    holder.start()
    try:
        time.sleep(STARTED_SECONDS)
        yield
        process.wait(150)
    finally:
        over.set()
        process.kill()
        process.wait()
        process.stdout.close()
        holder.join()


def hold_lock(settings: Settings, over: threading.Event) -> None:
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        while not over.is_set():
            with connection.transaction():
                key = f"image_retrieval:{COLLECTION}"
                connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
                over.wait(LOCK_SECONDS)
            over.wait(0.2)


def well_behaved(place: Place, settings: Settings, seconds: float, pages: tuple[str, ...]) -> dict[str, list[float]]:
    """Milliseconds of each search and page of one client, one after the other; one that fails counts as a minute."""
    took: dict[str, list[float]] = {}
    numbers = iter(range(10**9))
    own = 60_000  # an address that no hostile client has

    def timed(name: str, work: Callable[..., object], *given: object) -> None:
        started = time.perf_counter()
        good = work(*given) in (200, True)
        took.setdefault(name, []).append(1000 * (time.perf_counter() - started) if good else 60_000.0)

    def post(body: bytes) -> int:
        return asked(place, own, "POST", "/api/search", body)

    def opened(page: str) -> int:
        return asked(Place(place.netloc, "", place.token), own, "GET", page)

    def in_sql(words: str) -> bool:
        return len(connection.execute(SQL, [COLLECTION, words]).fetchall()) > 0

    salt = random.randbytes(8)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            number = next(numbers)
            words, data = TEXTS[number % len(TEXTS)], SCENES[number % len(SCENES)] + salt + number.to_bytes(8, "big")
            timed("text", post, search_body(texts=[{"text": words}]))
            timed("picture", post, search_body(images=[{"base64": encoded(data)}]))
            timed("sql", in_sql, words)
            for page in pages:
                timed(f"airflow {page}", opened, page)
            time.sleep(0.05)
    return took


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


@contextmanager
def in_airflow(settings: Settings) -> Iterator[Place]:
    """The service mounted in an Airflow of its own, over this project's services."""
    for folder in ("include", "plugins"):
        (settings.home / folder).symlink_to(Path(__file__).parents[1] / folder)
    (settings.home / "dags").mkdir()
    own = Settings(**{**dict(settings), "local_dir": settings.home})
    os.environ.update(own.environment())
    airflow.up(own, lambda line: None)
    try:
        known = {name: value or "" for name, value in dotenv_values(own.local_path / "airflow.env").items()}
        command = [sys.executable, "-c", GET_TOKEN]
        done = subprocess.run(command, env=os.environ | known, capture_output=True, text=True, check=True)
        token = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("token "))
        place = Place(services.address(own.local_path, "airflow"), "/image-search", f"Bearer {token}")
        yield place
    finally:
        services.down(own.local_path, lambda line: None, ("airflow",))


@contextmanager
def alone(settings: Settings) -> Iterator[Place]:
    with serving(settings) as url:
        yield Place(httpx.URL(url).netloc.decode(), "", TOKEN)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(1), default=2_000)
    parser.add_argument("--seconds", type=positive, default=60)
    parser.add_argument("--clients", type=whole(1, 10_000), default=100)
    parser.add_argument(
        "--airflow", action="store_true", help="the service mounted in Airflow, and Airflow's own pages"
    )
    parser.add_argument("--be-hostile", metavar="PLACE", help="only be the hostile clients of a service there")
    arguments = parser.parse_args()
    if arguments.be_hostile:
        place = Place(**json.loads(arguments.be_hostile))
        seen = hostile(place, arguments.clients, arguments.seconds)
        print(f"hostile clients were answered: {dict(seen)}", file=sys.stderr)
        return
    facts = {"scenes": arguments.scenes, "clients": arguments.clients, "seconds": arguments.seconds}
    facts |= {"mounted_in_airflow": arguments.airflow}
    pages = AIRFLOW_PAGES if arguments.airflow else ()
    options = {"service_seconds": 30, "allow_private_urls": True}
    with (
        reported(**facts) as figures,
        project(list(draw_scenes(arguments.scenes, HELD_OUT)), **options) as settings,
        (in_airflow if arguments.airflow else alone)(settings) as place,
    ):
        well_behaved(place, settings, min(10, arguments.seconds), pages)  # until models and processes are there
        quiet = well_behaved(place, settings, min(20, arguments.seconds), pages)
        with attacked(place, arguments.clients, arguments.seconds, settings):
            busy = well_behaved(place, settings, arguments.seconds, pages)
        for name, values in quiet.items():
            one, other = p95(values), p95(busy[name])
            figures |= rounded(
                {f"{name}_quiet_p95_ms": one, f"{name}_busy_p95_ms": other, f"{name}_times": other / one}
            )
            figures[f"{name}_failed"] = sum(value == 60_000.0 for value in busy[name])
            figures[f"{name}_count"] = len(busy[name])


if __name__ == "__main__":
    run(main)
