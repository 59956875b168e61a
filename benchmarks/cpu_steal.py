"""The moments in which the host gave this machine's cores to others: what was timed then tells of the host."""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

SPAN = 0.2  # seconds


@contextmanager
def stolen_spans() -> Iterator[list[float]]:
    """The ends, in seconds of time.perf_counter, of those spans in which CPU time was stolen; more come meanwhile."""
    ends: list[float] = []
    over = threading.Event()

    def watch() -> None:
        known = psutil.cpu_times().steal
        while not over.wait(SPAN):
            stolen = psutil.cpu_times().steal
            if stolen > known:
                ends.append(time.perf_counter())
            known = stolen

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield ends
    finally:
        over.set()
        thread.join()


def is_calm(started: float, took: float, ends: list[float]) -> bool:
    """Whether nothing was stolen from what started then and took so long, in seconds."""
    following = bisect_left(ends, started)
    return following == len(ends) or ends[following] - SPAN > started + took
