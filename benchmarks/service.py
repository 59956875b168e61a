"""What the search service adds to its parts: `python -m benchmarks.service [--scenes N] [--seconds 60] [--clients 50]`.

On services of its own, over drawn scenes under the dual encoder that ships. Searches by texts that are embedded
already, beside the SQL that they run; searches by new pictures, beside bare decoding, model and SQL one after the
other; whether full captions find their scenes, at the default cutoff; how soon a new text is embedded that SQL asks
for; and many clients at once, with batches and without. The last line is JSON.
"""

import argparse
import asyncio
import base64
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import torch
import uvicorn
import yaml
from pydantic import SecretStr

from benchmarks.shipped import HELD_OUT, distinct
from image_retrieval.collection import find_collection
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.imaging.scenes import Scene, draw_scenes
from image_retrieval.local import services
from image_retrieval.local.filling import mirror
from image_retrieval.models.shipped import DUAL
from image_retrieval.models.towers import image_tower
from image_retrieval.pipeline.running import run_collection
from image_retrieval.service.alone import app_alone
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.listening import Listener
from image_retrieval.service.state import Service
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connection_pool
from image_retrieval.store.search import search

COLLECTION = "scenes"
TOKEN = "a-token-of-the-benchmark"
TEXTS = [f"{count} {hue} circles" for count in ("two", "three", "four", "five") for hue in ("red", "green", "blue")]
SCENES = [scene.data for scene in draw_scenes(64, seed=3)]
CAPTIONED = 100
FIRST = 5
K = 10
WARM = 5


@contextmanager
def project(scenes: list[Scene]) -> Iterator[Settings]:
    """Settings of a project with one collection, of these scenes, that has run."""
    home = Path(tempfile.mkdtemp(prefix="image-retrieval-benchmark-"))
    try:
        services.up(home, lambda line: None)
        settings = Settings(
            _env_file=home / "services.env",
            home=home,
            collections_file=Path("collections.yaml"),
            token=SecretStr(TOKEN),
            service_rate=1e6,
            service_seconds=300,
        )
        entry = {"source": "s3://images/scenes/", "model": {"name": "dual", "source": str(DUAL)}, "schedule": None}
        settings.collections_path.write_text(yaml.safe_dump({"collections": {COLLECTION: entry}}))
        collection = find_collection(settings.collections_path, COLLECTION)
        mirror(((scene.key, scene.data) for scene in scenes), collection.source, settings)
        run_collection(collection, "run", settings)
        yield settings
    finally:
        services.down(home, lambda line: None)
        shutil.rmtree(home)


@contextmanager
def serving(settings: Settings) -> Iterator[tuple[str, Service]]:
    """The service alone, in a thread of this process: its address, and what its requests share."""
    app = app_alone(settings)
    listener = Listener(app.state.service)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    listener.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}", app.state.service
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        app.state.service.close()


def picture(number: int) -> str:
    """A picture that nobody asked for before: decoders stop before what follows the image."""
    return base64.b64encode(SCENES[number % len(SCENES)] + number.to_bytes(8, "big")).decode()


def milliseconds(work: object) -> float:
    started = time.perf_counter()
    work()  # type: ignore[operator]
    return 1000 * (time.perf_counter() - started)


def ask(client: httpx.Client, **form: object) -> list[str]:
    """The ids of what a search gives."""
    answer = client.post("/api/search", json={"collection": COLLECTION, "k": K, **form}).raise_for_status()
    return [row["image_id"] for row in answer.json()["results"]]


def over_sql(url: str, service: Service, times: int) -> dict[str, float]:
    """Medians of a search by a remembered text and of its SQL, in turns, by a client that takes little time itself."""
    client = http.client.HTTPConnection(httpx.URL(url).netloc.decode())
    headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
    with service.transaction() as connection:
        shown = shown_collection(connection, service.settings, COLLECTION)
    vectors = {text: service.text_vector(text, shown) for text in TEXTS}
    api, sql = [], []
    with connection_pool(service.settings, 1) as pool:
        for number in range(times + WARM):
            text = TEXTS[number % len(TEXTS)]

            def query(text: str = text) -> None:
                with pool.connection() as connection:
                    search(connection, COLLECTION, vectors[text], K + 1)

            form = {"collection": COLLECTION, "k": K, "texts": [{"text": text}], "min_score": -1}

            def request(body: str = json.dumps(form)) -> None:
                client.request("POST", "/api/search", body, headers)
                answer = client.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()

            sql.append(milliseconds(query))
            api.append(milliseconds(request))
    client.close()
    api, sql = api[WARM:], sql[WARM:]
    between = statistics.median(one - other for one, other in zip(api, sql, strict=True))
    return {"text_api_ms": statistics.median(api), "sql_ms": statistics.median(sql), "over_sql_ms": between}


def end_to_end(client: httpx.Client, service: Service, times: int) -> dict[str, float]:
    """Medians of a search by a new picture, and of decoding, model and SQL in this process, in turns."""
    with service.transaction() as connection:
        shown = shown_collection(connection, service.settings, COLLECTION)
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
                    search(connection, COLLECTION, vector, K + 1)

            bare.append(milliseconds(parts))
            given = [{"base64": picture(number)}]
            api.append(milliseconds(lambda given=given: ask(client, images=given, min_score=-1)))
    one, other = statistics.median(api[WARM:]), statistics.median(bare[WARM:])
    return {"image_api_ms": one, "parts_ms": other, "image_ratio": one / other}


def captions_found(client: httpx.Client, scenes: list[Scene]) -> dict[str, float]:
    """The share of full captions that show their scene among the first five."""
    captioned = [scenes[at] for at in distinct(scenes, CAPTIONED)]
    figures = {}
    for language, attribute in (("en", "english"), ("zh", "chinese")):
        found = [
            scene.key.rpartition(".")[0]
            in ask(client, texts=[{"text": getattr(scene.captions[-1], attribute)}], k=FIRST)
            for scene in captioned
        ]
        figures[f"recall_at_{FIRST}_{language}"] = statistics.mean(found)
    return figures


def asked_by_sql(settings: Settings, times: int) -> dict[str, float]:
    """From a CALL that asks for a new text to the row that SQL answers from: the median, and the worst."""
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        took = [
            milliseconds(lambda text=text: connection.execute("CALL images.embed_text(%s, %s)", [COLLECTION, text]))
            for text in (f"{number} new stars" for number in range(times))
        ]
    return {"embed_text_ms": statistics.median(took), "embed_text_worst_ms": max(took)}


async def many(url: str, clients: int, seconds: float) -> dict[str, float]:
    """So many clients that search by pictures, each as soon as its last answer is there."""
    until, numbers, times, errors = time.monotonic() + seconds, iter(range(10**9)), [], 0

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal errors
        while time.monotonic() < until:
            form = {"collection": COLLECTION, "images": [{"base64": picture(next(numbers))}]}
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


def loaded(settings: Settings, batch: int, clients: int, seconds: float) -> dict[str, float]:
    """What `many` measures of a service with batches of this size, from a process of its own."""
    with serving(settings.model_copy(update={"service_batch": batch})) as (url, _):
        with httpx.Client(base_url=url, headers={"Authorization": TOKEN}, timeout=600) as client:
            ask(client, images=[{"base64": picture(0)}])
        command = [sys.executable, "-m", "benchmarks.service", "--load", url]
        done = subprocess.run(
            [*command, "--clients", str(clients), "--seconds", str(seconds)], capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=1_000)
    parser.add_argument("--times", type=int, default=200, help="searches of the first two measurements")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--load", metavar="URL", help="only be the clients of a service there")
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(asyncio.run(many(arguments.load, arguments.clients, arguments.seconds))))
        return
    scenes = list(draw_scenes(arguments.scenes, HELD_OUT))
    figures: dict[str, float] = {}
    with project(scenes) as settings:
        with (
            serving(settings) as (url, service),
            httpx.Client(base_url=url, headers={"Authorization": TOKEN}, timeout=600) as client,
        ):
            ask(client, images=[{"base64": picture(0)}])
            figures |= over_sql(url, service, arguments.times)
            figures |= end_to_end(client, service, arguments.times)
            figures |= captions_found(client, scenes)
            figures |= asked_by_sql(settings, 20)
        for name, batch in (("unbatched", 1), ("batched", settings.service_batch)):
            found = loaded(settings, batch, arguments.clients, arguments.seconds)
            figures |= {f"{name}_{key}": value for key, value in found.items()}
    figures["batching_gain"] = figures["batched_per_second"] / figures["unbatched_per_second"]
    for name, value in figures.items():
        print(f"{name:<22} {value:10.2f}")
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
