"""Searching while the model is switched: `python -m benchmarks.switch [--rows N] [--clients N]`.

Clients search at random times, at a constant mean rate: first undisturbed, then while another process loads the other
model's vectors, indexes and checks them, and lets the view show them. The vectors are ready-made, as those are that
pods make elsewhere. On a PostgreSQL of its own; a table, then one JSON line.
"""

import argparse
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from benchmarks.cpu_steal import is_calm, stolen_spans
from benchmarks.load import clustered, shards
from benchmarks.needs import positive, reported, run, whole
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
WARMING = 20  # searches of a new connection that do not count
SECONDS_TO_MAKE_READY = 600
SEARCH = f"SELECT image_id FROM images.search('benchmark', %s, {K})"


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(100), default=100_000)
    parser.add_argument("--clients", type=whole(1), default=2)
    parser.add_argument("--rate", type=positive, default=10, help="searches a second of each client")
    parser.add_argument("--seconds", type=positive, default=60, help="of searching undisturbed")
    options = parser.parse_args()
    options.dimensions = describe(VISION).dimensions
    facts = {name: getattr(options, name) for name in ("rows", "dimensions", "clients", "rate")}
    with reported(**facts) as result, own_services() as settings:
        fill(settings, options)
        result |= measure(settings, options)


def measure(settings: Settings, options: argparse.Namespace) -> dict[str, float]:
    """Latencies without and with a switch, and how many searches failed or fell short.

    Those count, but in `p99_ratio_with_stolen`, from which the host stole no CPU time: it does as it likes.
    """
    context = multiprocessing.get_context("spawn")
    turn = context.Barrier(2, timeout=SECONDS_TO_MAKE_READY)
    switching = context.Process(target=switch, args=(settings, options.rows, turn), daemon=True)
    switching.start()
    turn.wait()
    searches = Searches(settings, options)
    with stolen_spans() as stolen:
        usual = searches.of(options.seconds)
        turn.wait()
        started = time.monotonic()
        during = searches.until(lambda: not switching.is_alive())
        switch_seconds = time.monotonic() - started
    switching.join()
    if switching.exitcode:
        raise SystemExit(f"the switch ended with {switching.exitcode}")
    all_p99s = [milliseconds([took for _, took in timed], 99) for timed in (usual, during)]
    usual_calm, calm = ([took for begun, took in timed if is_calm(begun, took, stolen)] for timed in (usual, during))
    p99s = milliseconds(usual_calm, 99), milliseconds(calm, 99)
    return {
        "switch_seconds": round(switch_seconds, 1),
        "failed": searches.failed,
        "usual_searches": len(usual),
        "searches": len(during),
        "usual_calm_searches": len(usual_calm),
        "calm_searches": len(calm),
        "usual_p50_ms": milliseconds(usual_calm, 50),
        "usual_p99_ms": p99s[0],
        "p50_ms": milliseconds(calm, 50),
        "p99_ms": p99s[1],
        "p99_ratio": round(p99s[1] / p99s[0], 2),
        "p99_ratio_with_stolen": round(all_p99s[1] / all_p99s[0], 2),
    }


class Searches:
    """Clients that search independently of one another (exponential pauses), each over a connection of its own."""

    def __init__(self, settings: Settings, options: argparse.Namespace) -> None:
        self._url, self._clients, self._pause = settings.database(), options.clients, 1 / options.rate
        self._queries = [HalfVector(row) for row in clustered(1000, options.dimensions, seed=1)]
        self.failed = 0

    def of(self, seconds: float) -> list[tuple[float, float]]:
        """When each search began and the seconds that it took, of so long."""
        end = time.monotonic() + seconds
        return self.until(lambda: time.monotonic() > end)

    def until(self, over: Callable[[], bool]) -> list[tuple[float, float]]:
        """When each search began and the seconds that it took, until something is over."""
        timed: list[tuple[float, float]] = []
        threads = [threading.Thread(target=self._search, args=(seed, over, timed)) for seed in range(self._clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return timed

    def _search(self, seed: int, over: Callable[[], bool], timed: list[tuple[float, float]]) -> None:
        rng = np.random.default_rng(seed)
        with psycopg.connect(self._url, autocommit=True) as connection:
            register_vector(connection)
            for query in self._queries[:WARMING]:
                connection.execute(SEARCH, (query,))
            while not over():
                query = self._queries[rng.integers(len(self._queries))]
                started = time.perf_counter()
                try:
                    self.failed += len(connection.execute(SEARCH, (query,)).fetchall()) != K
                except psycopg.Error:
                    self.failed += 1
                timed.append((started, time.perf_counter() - started))
                time.sleep(rng.exponential(self._pause))


def switch(settings: Settings, rows: int, turn: Barrier) -> None:
    """Open the switch, load the other model's vectors, index and check them, and show them.

    Waits for its turn twice: when the vectors are made, and for the searches that are undisturbed.
    """
    made = list(shards(rows, 10_000, describe(VISION).dimensions))
    turn.wait()
    turn.wait(timeout=None)
    plan_switch(COLLECTION, OTHER, "run", settings)
    target = COLLECTION.model_copy(update={"model": OTHER})
    for table, vectors in made:
        with connect(settings) as connection:
            load_vectors(connection, target, table, vectors, facts=False)
    check_switch(COLLECTION, OTHER.name, settings)
    complete_switch(COLLECTION, OTHER.name, settings)


if __name__ == "__main__":
    run(main)
