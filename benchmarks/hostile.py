"""Whether hostile clients slow a well-behaved one: `python -m benchmarks.hostile [--airflow] [--clients 100]`.

On services of its own, over drawn scenes under the dual encoder that ships. One client searches by texts, by pictures
and in SQL, one after the other. First alone, then while others do their worst: URLs that never answer, JPEGs of many
scans, large PNGs, bodies that come slowly, changes of one collection that wait for its lock, filters over all rows,
long answers and pages. Each has an address of its own on loopback, and asks again a moment after it was answered,
whatever `Retry-After` says. Then it is alone once more. With `--airflow` the service runs in Airflow, all clients are
users with all rights, and the well-behaved one opens Airflow's own pages, too. The last line is JSON: 95th percentiles
in milliseconds of both times, how many times the second is the first, and what else the machine did meanwhile.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from dotenv import dotenv_values

from benchmarks.hostile_clients import Place, asked, encoded, search_body
from benchmarks.needs import positive, reported, run, whole
from benchmarks.service import COLLECTION, LOAD_SECONDS, SCENES, TEXTS, TOKEN, project, rounded, serving
from benchmarks.shipped import HELD_OUT
from image_retrieval.local import airflow, services
from image_retrieval.scenes import draw_scenes
from image_retrieval.settings import Settings

FAILED = 60_000.0  # milliseconds that a search counts as which is not answered with results
STARTED_SECONDS = 5.0  # after which all of them are at it
LOCK_SECONDS = 2.0  # that somebody holds the lock of the collection, again and again
AIRFLOW_PAGES = ("/api/v2/monitor/health", "/api/v2/dags?limit=50", "/")
SQL = "SELECT image_id FROM images.search_text(%s, %s, 10)"
GET_TOKENS = """
import sys
from airflow.api_fastapi.app import create_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
manager = create_auth_manager()
for name in ["admin", *(f"hostile-{number}" for number in range(int(sys.argv[1])))]:
    print("token", manager.generate_jwt(SimpleAuthManagerUser(username=name, role="admin", teams=None)))
"""


@contextmanager
def attacked(place: Place, clients: int, seconds: float, settings: Settings) -> Iterator[None]:
    """Hostile clients, in a process of their own, and somebody who holds the collection's lock."""
    command = [sys.executable, "-m", "benchmarks.hostile_clients", json.dumps(vars(place))]
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
        took.setdefault(name, []).append(1000 * (time.perf_counter() - started) if good else FAILED)

    def post(body: bytes) -> int:
        return asked(place, own, "POST", "/api/search", body, place.tokens[0])

    def opened(page: str) -> int:
        return asked(replace(place, prefix=""), own, "GET", page, token=place.tokens[0])

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


def warmed_up(place: Place, settings: Settings, pages: tuple[str, ...]) -> None:
    """Search until processes have started and models are loaded."""
    until = time.monotonic() + LOAD_SECONDS
    while any(FAILED in values for values in well_behaved(place, settings, 10, pages).values()):
        if time.monotonic() > until:
            raise SystemExit(f"the service at {place.netloc} answers no searches")


@contextmanager
def machine(when: str, figures: dict[str, Any]) -> Iterator[None]:
    """Note what else went on: the load, and the shares of the cores that were idle and that the host took."""
    before = psutil.cpu_times()
    yield
    spent = [now - then for now, then in zip(psutil.cpu_times(), before, strict=True)]
    shares = dict(zip(before._fields, spent, strict=True))
    figures |= rounded(
        {
            f"{when}_load": os.getloadavg()[0],
            f"{when}_idle": shares["idle"] / sum(spent),
            f"{when}_stolen": shares["steal"] / sum(spent),
        }
    )


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


@contextmanager
def in_airflow(settings: Settings, users: int) -> Iterator[Place]:
    """The service mounted in an Airflow of its own, over this project's services, for so many hostile users."""
    for folder in ("include", "plugins"):
        (settings.home / folder).symlink_to(Path(__file__).parents[1] / folder)
    (settings.home / "dags").mkdir()
    own = Settings(**{**dict(settings), "local_dir": settings.home})
    os.environ.update(own.environment())
    airflow.up(own, lambda line: None)
    try:
        known = {name: value or "" for name, value in dotenv_values(own.local_path / "airflow.env").items()}
        command = [sys.executable, "-c", GET_TOKENS, str(users)]
        done = subprocess.run(command, env=os.environ | known, capture_output=True, text=True, check=True)
        tokens = [f"Bearer {line.split()[1]}" for line in done.stdout.splitlines() if line.startswith("token ")]
        yield Place(services.address(own.local_path, "airflow"), "/image-search", tokens)
    finally:
        services.down(own.local_path, lambda line: None, ("airflow",))


@contextmanager
def alone(settings: Settings) -> Iterator[Place]:
    """The service as `image-retrieval serve` starts it: everybody has the same token."""
    with serving(settings) as url:
        yield Place(httpx.URL(url).netloc.decode(), "", [TOKEN, TOKEN])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(1), default=2_000)
    parser.add_argument("--seconds", type=positive, default=60)
    parser.add_argument("--clients", type=whole(1, 10_000), default=100)
    parser.add_argument(
        "--airflow", action="store_true", help="the service mounted in Airflow, and Airflow's own pages"
    )
    parser.add_argument(
        "--users", type=whole(1), help="in Airflow, how many users the hostile clients are: by default, one each"
    )
    arguments = parser.parse_args()
    users = arguments.users or arguments.clients
    run_with = {"scenes": arguments.scenes, "clients": arguments.clients, "seconds": arguments.seconds}
    run_with |= {"mounted_in_airflow": arguments.airflow, "users": users if arguments.airflow else 1}
    pages = AIRFLOW_PAGES if arguments.airflow else ()
    options = {"service_seconds": 30, "allow_private_urls": True}
    with (
        reported(**run_with) as figures,
        project(list(draw_scenes(arguments.scenes, HELD_OUT)), **options) as settings,
        in_airflow(settings, users) if arguments.airflow else alone(settings) as place,
    ):
        warmed_up(place, settings, pages)
        with machine("quiet", figures):
            quiet = well_behaved(place, settings, arguments.seconds / 2, pages)
        with attacked(place, arguments.clients, arguments.seconds, settings), machine("busy", figures):
            busy = well_behaved(place, settings, arguments.seconds, pages)
        with machine("quiet_again", figures):
            again = well_behaved(place, settings, arguments.seconds / 2, pages)
        for name, values in quiet.items():
            one, other = p95(values + again[name]), p95(busy[name])
            figures |= rounded(
                {f"{name}_quiet_p95_ms": one, f"{name}_busy_p95_ms": other, f"{name}_times": other / one}
            )
            figures[f"{name}_failed"] = sum(value == FAILED for value in busy[name])
            figures[f"{name}_count"] = len(busy[name])


if __name__ == "__main__":
    run(main)
