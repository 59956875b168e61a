"""What the search service adds to its parts: `python -m benchmarks.service [--scenes N] [--seconds 60] [--clients 50]`.

On services of its own, over drawn scenes under the dual encoder that ships. Searches by texts that are embedded
already, beside the SQL that they run; searches by new pictures, beside bare decoding, model and SQL one after the
other; whether full captions find their scenes, at the default cutoff; how soon a new text is embedded that SQL asks
for; and many clients at once, with batches and without. The last line is JSON.
"""

import argparse
import base64
import http.client
import itertools
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import torch
import yaml
from pydantic import SecretStr

from benchmarks.needs import positive, reported, run, whole
from benchmarks.own_services import own_services
from benchmarks.shipped import HELD_OUT, distinct
from image_retrieval.collection import find_collection
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.local.filling import mirror
from image_retrieval.models.description import describe
from image_retrieval.models.shipped import DUAL
from image_retrieval.models.towers import image_tower
from image_retrieval.pipeline.running import run_collection
from image_retrieval.scenes import Scene, draw_scenes
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect, connection_pool
from image_retrieval.store.queries import find_query
from image_retrieval.store.search import search

COLLECTION = "scenes"
TOKEN = "a-token-of-the-benchmark"
TEXTS = [f"{count} {hue} circles" for count in ("two", "three", "four", "five") for hue in ("red", "green", "blue")]
SCENES = [scene.data for scene in draw_scenes(64, seed=3)]
CAPTIONED = 100
FIRST = 5
K = 10
WARM = 5
LOAD_SECONDS = 300  # in which a model is there, however busy the machine


@contextmanager
def project(scenes: list[Scene], **more: Any) -> Iterator[Settings]:
    """Settings, with these options, of a project with one collection, of these scenes, that has run."""
    options = {"collections_file": Path("collections.yaml"), "token": SecretStr(TOKEN)}
    with own_services(**{**options, "service_rate": 1e6, "service_seconds": 300, **more}) as settings:
        entry = {"source": "s3://images/scenes/", "model": {"name": "dual", "source": str(DUAL)}, "schedule": None}
        settings.collections_path.write_text(yaml.safe_dump({"collections": {COLLECTION: entry}}))
        collection = find_collection(settings.collections_path, COLLECTION)
        mirror(((scene.key, scene.data) for scene in scenes), collection.source, settings)
        run_collection(collection, "run", settings)
        yield settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The service alone, as people start it: its address, once its model has embedded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "image_retrieval.cli", "serve", "--port", str(port)]
    environment = {**os.environ, **settings.environment()}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"the service at {url} does not start: {shlex.join(command)}")
            time.sleep(0.1)
        with client_of(url) as client:
            _until_answered(client, images=[{"base64": picture(0)}])
            _until_answered(client, texts=[{"text": TEXTS[0]}])
        yield url
    finally:
        process.terminate()
        process.wait()


def _until_answered(client: httpx.Client, **form: object) -> None:
    """Ask until processes have started and the model is loaded."""
    until = time.monotonic() + LOAD_SECONDS
    while client.post("/api/search", json={"collection": COLLECTION, **form}).status_code == 503:
        if time.monotonic() > until:
            raise SystemExit(f"the service at {client.base_url} has not answered within {LOAD_SECONDS} s")
        time.sleep(0.1)
    ask(client, **form)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class Client:
    """One connection that takes little time itself: it shares the cores with the service."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(httpx.URL(url).netloc.decode(), timeout=600)
        self.close = self._connection.close

    def ask(self, body: str) -> tuple[int, bytes]:
        """Status and body of the answer to a search."""
        headers = {"Authorization": TOKEN, "Content-Type": "application/json"}
        self._connection.request("POST", "/api/search", body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def client_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": TOKEN}, timeout=600, trust_env=False)  # no proxy


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


def over_sql(url: str, settings: Settings, times: int) -> dict[str, float]:
    """Medians of a search by a remembered text and of its SQL, in turns, by a client that takes little time itself."""
    client = Client(url)
    with client_of(url) as asking:
        for text in TEXTS:
            ask(asking, texts=[{"text": text}])
    with connect(settings) as connection:
        vectors = {text: find_query(connection, "dual", text) for text in TEXTS}
    api, sql = [], []
    with connection_pool(settings, 1) as pool:
        for number in range(times + WARM):
            text = TEXTS[number % len(TEXTS)]

            def query(text: str = text) -> None:
                with pool.connection() as connection:
                    search(connection, COLLECTION, vectors[text], K + 1)

            form = {"collection": COLLECTION, "k": K, "texts": [{"text": text}], "min_score": -1}

            def request(body: str = json.dumps(form)) -> None:
                status, answer = client.ask(body)
                assert status == 200, answer

            sql.append(milliseconds(query))
            api.append(milliseconds(request))
    client.close()
    api, sql = api[WARM:], sql[WARM:]
    between = statistics.median(one - other for one, other in zip(api, sql, strict=True))
    return {"text_api_ms": statistics.median(api), "sql_ms": statistics.median(sql), "over_sql_ms": between}


def end_to_end(url: str, settings: Settings, times: int) -> dict[str, float]:
    """Medians of a search by a new picture, and of decoding, model and SQL in this process, in turns."""
    collection = find_collection(settings.collections_path, COLLECTION)
    tower = image_tower(collection.model, settings, settings.device)
    width, height = collection.resample.target_size or tower.size
    options = collection.resample.of_size((width, height)).model_copy(update={"keep": False})
    limits = Limits.of(settings)
    client = Client(url)
    api, bare = [], []
    with connection_pool(settings, 1) as pool:
        for number in range(times + WARM):
            data = base64.b64decode(picture(number))

            def parts(data: bytes = data) -> None:
                found = resample(data, options, limits)
                pixels = torch.frombuffer(bytearray(found.pixels), dtype=torch.uint8).view(1, height, width, 3)
                vector = tower.embed(pixels).numpy()[0]
                with pool.connection() as connection:
                    search(connection, COLLECTION, vector, K + 1)

            bare.append(milliseconds(parts))
            form = {"collection": COLLECTION, "k": K, "images": [{"base64": picture(number)}], "min_score": -1}

            def request(body: str = json.dumps(form)) -> None:
                status, answer = client.ask(body)
                assert status == 200, answer

            api.append(milliseconds(request))
    client.close()
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


def model_alone(settings: Settings) -> dict[str, float]:
    """Pictures a second of the bare model, one by one and in the service's batches: what batches can gain at most."""
    tower = image_tower(find_collection(settings.collections_path, COLLECTION).model, settings, settings.device)
    width, height = tower.size
    rates = {}
    for name, size in (("one_by_one", 1), ("in_batches", settings.service_batch)):
        pixels = torch.zeros(size, height, width, 3, dtype=torch.uint8)
        times = [milliseconds(lambda pixels=pixels: tower.embed(pixels)) for _ in range(30)]
        rates[name] = 1000 * size / statistics.median(times)
    return {f"model_{name}_per_second": rate for name, rate in rates.items()}


def many(url: str, clients: int, seconds: float) -> dict[str, float]:
    """So many clients that search by pictures, each as soon as its last answer is there."""
    started = time.monotonic()
    numbers, times, statuses = itertools.count(), [], []

    def one(_: int) -> None:
        client = Client(url)
        while time.monotonic() < started + seconds:
            body = json.dumps({"collection": COLLECTION, "images": [{"base64": picture(next(numbers))}]})
            times.append(milliseconds(lambda body=body: statuses.append(client.ask(body)[0])))
        client.close()

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(one, range(clients)))
    return {
        "per_second": len(times) / (time.monotonic() - started),
        "p50_ms": statistics.median(times),
        "errors": sum(status != 200 for status in statuses),
        "requests": len(times),
    }


def loaded(settings: Settings, batch: int, clients: int, seconds: float) -> dict[str, float]:
    """What `many` measures of a service with batches of this size, from a process of its own."""
    with serving(settings.model_copy(update={"service_batch": batch})) as url:
        command = [sys.executable, "-m", "benchmarks.service", "--load", url]
        done = subprocess.run(
            [*command, "--clients", str(clients), "--seconds", str(seconds)], capture_output=True, text=True, check=True
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(1), default=1_000)
    parser.add_argument("--times", type=whole(1), default=200, help="searches of the first two measurements")
    parser.add_argument("--seconds", type=positive, default=60)
    parser.add_argument("--clients", type=whole(1), default=50)
    parser.add_argument("--load", metavar="URL", help="only be the clients of a service there")
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(many(arguments.load, arguments.clients, arguments.seconds)))
        return
    scenes = list(draw_scenes(arguments.scenes, HELD_OUT))
    facts = {"rows": arguments.scenes, "dimensions": describe(DUAL).dimensions, "times": arguments.times}
    facts |= {"clients": arguments.clients, "seconds": arguments.seconds}
    with reported(shown, **facts) as figures, project(scenes) as settings:
        with serving(settings) as url, client_of(url) as client:
            figures |= rounded(over_sql(url, settings, arguments.times))
            figures |= rounded(end_to_end(url, settings, arguments.times))
            figures |= rounded(captions_found(client, scenes))
            figures |= rounded(asked_by_sql(settings, 20))
        figures |= rounded(model_alone(settings))
        for name, batch in (("unbatched", 1), ("batched", settings.service_batch)):
            found = loaded(settings, batch, arguments.clients, arguments.seconds)
            figures |= rounded({f"{name}_{key}": value for key, value in found.items()})
        figures["batching_gain"] = round(figures["batched_per_second"] / figures["unbatched_per_second"], 3)


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def shown(name: str, value: object) -> str:
    return f"{name:<22} {value:10.2f}" if isinstance(value, float) else f"{name:<22} {value:>10}"


if __name__ == "__main__":
    run(main)
