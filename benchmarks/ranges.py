"""A bucket's listing, one page after the other and in ranges at once: `python -m benchmarks.ranges [--objects N]`.

A store in a process of its own tells each page after `--milliseconds`. The table knows the objects but for a hundredth;
each turn lists and compares them, and must find the same: one page after the other, in ranges that known keys divide,
and in ranges of a bucket whose keys are looked up.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil
from pydantic import SecretStr

from benchmarks.listing import fill, listed_collection, plan_of
from benchmarks.needs import run, whole
from benchmarks.own_services import own_services
from image_retrieval.objects import ObjectStore, Page
from image_retrieval.pipeline.listing import compare
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect

TURNS = ("one page after the other", "known ranges", "unknown ranges")


class Divided(ObjectStore):
    """The store, listed in the way of a turn."""

    def __init__(self, settings: Settings, turn: str) -> None:
        super().__init__(settings)
        self._turn = turn

    def pages(self, prefix: str, *, cuts: Sequence[str] | None = None, **options: bool) -> Iterator[Page]:
        given = {TURNS[0]: None, TURNS[1]: cuts, TURNS[2]: []}[self._turn]
        return super().pages(prefix, cuts=given, **options)


@contextmanager
def slow_store(settings: Settings, objects: int, milliseconds: int) -> Iterator[tuple[Settings, psutil.Process]]:
    """The settings of a slow store, and its process, which ends with the block."""
    command = [sys.executable, "-m", "benchmarks.slow_store", str(objects), str(milliseconds / 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = f"http://127.0.0.1:{int(process.stdout.readline())}"
            keys = {"s3_access_key_id": SecretStr("key"), "s3_secret_access_key": SecretStr("secret")}
            yield settings.model_copy(update={"s3_endpoint_url": url, **keys}), psutil.Process(process.pid)
        finally:
            process.terminate()


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=whole(1), default=1_000_000)
    parser.add_argument("--dimensions", type=whole(1, 16_000), default=32)
    parser.add_argument("--milliseconds", type=whole(0), default=60)
    options = parser.parse_args()
    collection, seconds = listed_collection(), {}
    with own_services() as settings, slow_store(settings, options.objects, options.milliseconds) as (slow, store):
        fill(collection, options, settings)
        for turn in reversed(TURNS):
            with connect(settings) as connection:
                started, computed, told = time.perf_counter(), time.process_time(), sum(store.cpu_times()[:2])
                found = compare(connection, collection, Divided(slow, turn), settings)
                seconds[turn] = time.perf_counter() - started
                computed, told = time.process_time() - computed, sum(store.cpu_times()[:2]) - told
                connection.rollback()
            if found != plan_of(options.objects):
                raise SystemExit(f"{turn}: the diff found {found}, where {plan_of(options.objects)} was to be found")
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            cores = f"{computed:6.1f} s of a core here, {told:6.1f} s in the store"
            print(f"{turn:26} {seconds[turn]:8.1f} s   {cores}   {peak:5.0f} MB at most so far", flush=True)
    figures = {turn.replace(" ", "_") + "_seconds": round(taken, 1) for turn, taken in seconds.items()}
    print(
        json.dumps(
            {"objects": options.objects, "milliseconds": options.milliseconds, **figures, "peak_memory_mb": round(peak)}
        )
    )


if __name__ == "__main__":
    run(main)
