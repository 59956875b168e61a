"""What the search service adds to its parts: `python -m benchmarks.service [COLLECTION] [--seconds 60] [--clients 50]`.

Needs a collection with vectors, such as the demo's, and its services up. Three measurements: searches by texts that are
embedded already, beside the SQL that they run; searches by new pictures, beside bare decoding, model and SQL one after
the other; and many clients at once, with batches and without. The last line is JSON.
"""

import argparse
import asyncio
import base64
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import torch
import uvicorn
from pydantic import SecretStr

from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.imaging.scenes import draw_scenes
from image_retrieval.models.towers import image_tower
from image_retrieval.service.alone import app_alone
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.state import Service
from image_retrieval.settings import Settings, load_settings
from image_retrieval.store.connection import connection_pool
from image_retrieval.store.search import search

TOKEN = "a-token-of-the-benchmark"
TEXTS = [f"{count} {hue} circles" for count in ("two", "three", "four", "five") for hue in ("red", "green", "blue")]
SCENES = [scene.data for scene in draw_scenes(64, seed=3)]
K = 10
WARM = 5


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[str, Service]]:
    app = app_alone(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}", app.state.service
    finally:
        server.should_exit = True
        thread.join()
        app.state.service.close()


def picture(number: int) -> str:
    """A picture that nobody asked for before: decoders stop before what follows the image."""
    return base64.b64encode(SCENES[number % len(SCENES)] + number.to_bytes(8, "big")).decode()


def milliseconds(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return 1000 * (time.perf_counter() - started)


def ask(client: httpx.Client, collection: str, **form: object) -> None:
    given = {"collection": collection, "k": K, "min_score": -1, **form}
    client.post("/api/search", json=given).raise_for_status()


def over_sql(client: httpx.Client, service: Service, collection: str, times: int) -> dict[str, float]:
    """Medians of a search by a remembered text and of its SQL, in turns."""
    with service.transaction() as connection:
        shown = shown_collection(connection, service.settings, collection)
    vectors = {text: service.text_vector(text, shown) for text in TEXTS}
    api, sql = [], []
    with connection_pool(service.settings, 1) as pool:
        for number in range(times + WARM):
            text = TEXTS[number % len(TEXTS)]

            def query(text: str = text) -> None:
                with pool.connection() as connection:
                    search(connection, collection, vectors[text], K + 1)

            sql.append(milliseconds(query))
            api.append(milliseconds(lambda text=text: ask(client, collection, texts=[{"text": text}])))
    api, sql = api[WARM:], sql[WARM:]
    between = statistics.median(one - other for one, other in zip(api, sql, strict=True))
    return {"text_api_ms": statistics.median(api), "sql_ms": statistics.median(sql), "over_sql_ms": between}


def end_to_end(client: httpx.Client, service: Service, collection: str, times: int) -> dict[str, float]:
    """Medians of a search by a new picture, and of decoding, model and SQL in this process, in turns."""
    with service.transaction() as connection:
        shown = shown_collection(connection, service.settings, collection)
    tower = image_tower(shown.model, service.settings, service.settings.device)
    width, height = shown.collection.resample.target_size or tower.size
    options = shown.collection.resample.of_size((width, height)).model_copy(update={"keep": False})
    limits = Limits.of(service.settings)
    api, bare = [], []
    with connection_pool(service.settings, 1) as pool:
        for number in range(times + WARM):
            data = base64.b64decode(picture(number))

            def parts(data: bytes = data) -> None:
                found = resample(data, options, limits)
                pixels = torch.frombuffer(bytearray(found.pixels), dtype=torch.uint8).view(1, height, width, 3)
                vector = tower.embed(pixels).numpy()[0]
                with pool.connection() as connection:
                    search(connection, collection, vector, K + 1)

            bare.append(milliseconds(parts))
            given = [{"base64": picture(number)}]
            api.append(milliseconds(lambda given=given: ask(client, collection, images=given)))
    one, other = statistics.median(api[WARM:]), statistics.median(bare[WARM:])
    return {"image_api_ms": one, "parts_ms": other, "image_ratio": one / other}


async def many(url: str, collection: str, clients: int, seconds: float) -> dict[str, float]:
    """So many clients that search by pictures, each as soon as its last answer is there."""
    until, numbers, times, errors = time.monotonic() + seconds, iter(range(10**9)), [], 0

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal errors
        while time.monotonic() < until:
            form = {"collection": collection, "images": [{"base64": picture(next(numbers))}]}
            started = time.perf_counter()
            answer = await client.post("/api/search", json=form)
            times.append(1000 * (time.perf_counter() - started))
            errors += answer.status_code != 200

    limits = httpx.Limits(max_connections=clients)
    headers = {"Authorization": TOKEN}
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=120) as client:
        started = time.monotonic()
        await asyncio.gather(*(one(client) for _ in range(clients)))
        took = time.monotonic() - started
    return {
        "per_second": len(times) / took,
        "p50_ms": statistics.median(times),
        "errors": errors,
        "requests": len(times),
    }


def loaded(settings: Settings, collection: str, batch: int, clients: int, seconds: float) -> dict[str, float]:
    """What `many` measures of a service with batches of this size, from a process of its own."""
    with serving(settings.model_copy(update={"service_batch": batch})) as (url, _):
        with httpx.Client(base_url=url, headers={"Authorization": TOKEN}, timeout=600) as client:
            ask(client, collection, images=[{"base64": picture(0)}])
        command = [sys.executable, "-m", "benchmarks.service", collection, "--load", url]
        done = subprocess.run(
            [*command, "--clients", str(clients), "--seconds", str(seconds)], capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", nargs="?", default="demo")
    parser.add_argument("--times", type=int, default=200, help="searches of the first two measurements")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--load", metavar="URL", help="only be the clients of a service there")
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(asyncio.run(many(arguments.load, arguments.collection, arguments.clients, arguments.seconds))))
        return
    settings = load_settings().model_copy(
        update={"token": SecretStr(TOKEN), "service_rate": 1e6, "service_seconds": 300.0}
    )
    figures: dict[str, float] = {}
    with (
        serving(settings) as (url, service),
        httpx.Client(base_url=url, headers={"Authorization": TOKEN}, timeout=600) as client,
    ):
        ask(client, arguments.collection, images=[{"base64": picture(0)}])
        figures |= over_sql(client, service, arguments.collection, arguments.times)
        figures |= end_to_end(client, service, arguments.collection, arguments.times)
    for name, batch in (("unbatched", 1), ("batched", settings.service_batch)):
        found = loaded(settings, arguments.collection, batch, arguments.clients, arguments.seconds)
        figures |= {f"{name}_{key}": value for key, value in found.items()}
    figures["batching_gain"] = figures["batched_per_second"] / figures["unbatched_per_second"]
    for name, value in figures.items():
        print(f"{name:<22} {value:10.2f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
