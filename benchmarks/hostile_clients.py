"""Clients that do their worst: `python -m benchmarks.hostile_clients PLACE [--clients 100] [--seconds 60]`.

PLACE is the JSON of a Place. Each client has an address of its own on loopback, and asks again a moment after it was
answered, whatever `Retry-After` says. It says "ready" when it begins; how often each status came is told on stderr.
"""

import argparse
import base64
import http.client
import io
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from PIL import Image

from benchmarks.needs import positive, run, whole
from benchmarks.service import COLLECTION, TEXTS

PAUSE = 0.5  # seconds after an answer
ANSWER_SECONDS = 120.0
EXPENSIVE = {"or": [{"caption": {"match": f"红{word} {word}"}} for word in "abcdefghijklmnopqrstuvwxyz"]}


@dataclass(frozen=True)
class Place:
    """Where the service is: host and port, what comes before its paths, what clients send as Authorization.

    The first token is the well-behaved client's. Hostile clients take turns with the others.
    """

    netloc: str
    prefix: str
    tokens: list[str]

    def token(self, number: int) -> str:
        """What the hostile client of a number sends."""
        return self.tokens[1 + number % (len(self.tokens) - 1)]


def connected(place: Place, number: int, seconds: float) -> http.client.HTTPConnection:
    """A connection from a client's own address."""
    source = (f"127.0.{1 + number // 250}.{1 + number % 250}", 0)
    return http.client.HTTPConnection(place.netloc, timeout=seconds, source_address=source)


def asked(place: Place, number: int, method: str, path: str, body: bytes = b"", token: str | None = None) -> int:
    """The status of an answer, which is read."""
    connection = connected(place, number, ANSWER_SECONDS)
    head = {"Authorization": token or place.token(number), "Content-Type": "application/json"}
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
        head = {"Authorization": place.token(number), "Content-Type": "application/json", "Content-Length": "100000"}
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
                    message = str(kind(number))
                except (OSError, http.client.HTTPException) as error:
                    message = type(error).__name__
                seen[f"{number % len(kinds)}: {message}"] += 1
                time.sleep(PAUSE)

        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(one, range(clients)))
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=lambda text: Place(**json.loads(text)))
    parser.add_argument("--clients", type=whole(1, 10_000), default=100)
    parser.add_argument("--seconds", type=positive, default=60)
    arguments = parser.parse_args()
    seen = hostile(arguments.place, arguments.clients, arguments.seconds)
    print(f"hostile clients were answered: {dict(sorted(seen.items()))}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
