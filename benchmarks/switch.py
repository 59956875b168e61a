"""Searching while the model is switched: `python -m benchmarks.switch [--rows N] [--clients N]`.

Clients search at a constant rate: first undisturbed, then while another process loads the other model's vectors,
indexes and checks them, and lets the view show them. The vectors are ready-made, as those are that pods make elsewhere.
On a PostgreSQL of its own; a table, then one JSON line.
"""

import argparse
import json
import multiprocessing
import threading
import time
from collections.abc import Callable

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.load import clustered, shards
from benchmarks.own_services import own_services
from benchmarks.search import fill, milliseconds
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.models.description import describe
from image_retrieval.models.shipped import VISION
from image_retrieval.pipeline.switching import check_switch, complete_switch, plan_switch
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.loading import load_vectors

K = 10
COLLECTION = Collection(
    name="benchmark", source="s3://images/benchmark/", model=ModelOptions(name="m", source="none"), max_shards=1
)
OTHER = ModelOptions(name="other", source=str(VISION))
SEARCH = f"SELECT image_id FROM images.search('benchmark', %s, {K})"


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--rate", type=float, default=10, help="searches a second of each client")
    parser.add_argument("--seconds", type=float, default=60, help="of searching undisturbed")
    options = parser.parse_args()
    options.dimensions = describe(VISION).dimensions
    with own_services() as settings:
        fill(settings, options)
        result = measure(settings, options)
    for name, value in result.items():
        print(f"{name:<24}{value}")
    print(json.dumps(result))


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, float]:
    """Latencies without and with a switch, and how many searches failed or fell short."""
    searches = Searches(settings, options)
    searches.of(5)  # warm
    usual = searches.of(options.seconds)
    switching = multiprocessing.get_context("spawn").Process(target=switch, args=(settings, options.rows))
    switching.start()
    started = time.monotonic()
    during = searches.until(lambda: not switching.is_alive())
    switching.join()
    if switching.exitcode:
        raise SystemExit(f"the switch ended with {switching.exitcode}")
    p99s = milliseconds(usual, 99), milliseconds(during, 99)
    return {
        "rows": options.rows,
        "switch_seconds": round(time.monotonic() - started, 1),
        "usual_searches": len(usual),
        "searches": len(during),
        "failed": searches.failed,
        "usual_p50_ms": milliseconds(usual, 50),
        "usual_p99_ms": p99s[0],
        "p50_ms": milliseconds(during, 50),
        "p99_ms": p99s[1],
        "p99_ratio": round(p99s[1] / p99s[0], 2),
    }


class Searches:
    """Clients that search at a constant rate, each over a connection of its own."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._url, self._clients, self._pause = settings.database(), options.clients, 1 / options.rate
        self._queries = [HalfVector(row) for row in clustered(1000, options.dimensions, seed=1)]
        self.failed = 0

    def of(self, seconds: float) -> list[float]:
        """The seconds that each search took, of so long."""
        end = time.monotonic() + seconds
        return self.until(lambda: time.monotonic() > end)

    def until(self, over: Callable[[], bool]) -> list[float]:
        """The seconds that each search took, until something is over."""
        took: list[float] = []
        threads = [threading.Thread(target=self._search, args=(seed, over, took)) for seed in range(self._clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return took

    def _search(self, seed: int, over: Callable[[], bool], took: list[float]) -> None:
        chance = np.random.default_rng(seed)
        with psycopg.connect(self._url, autocommit=True) as connection:
            register_vector(connection)
            while not over():
                query = self._queries[chance.integers(len(self._queries))]
                started = time.perf_counter()
                try:
                    self.failed += len(connection.execute(SEARCH, (query,)).fetchall()) != K
                except psycopg.Error:
                    self.failed += 1
                took.append(time.perf_counter() - started)
                time.sleep(max(0.0, self._pause - took[-1]))


def switch(settings: Settings, rows: int) -> None:
    """Open the switch, load the other model's vectors, index and check them, and show them."""
    plan_switch(COLLECTION, OTHER, "run", settings)
    target = COLLECTION.model_copy(update={"model": OTHER})
    for table, vectors in shards(rows, 10_000, describe(VISION).dimensions):
        with connect(settings) as connection:
            load_vectors(connection, target, table, vectors, facts=False)
    check_switch(COLLECTION, OTHER.name, settings)
    complete_switch(COLLECTION, OTHER.name, settings)


if __name__ == "__main__":
    main()
