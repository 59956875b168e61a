"""What this process has of others, of threads and of open files."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

SECONDS = 30  # within which what must happen has happened, on however busy a machine


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def children() -> set[int]:
    """The processes that were started here and not waited for, zombies included."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name != "deadlines"}  # one for the whole process


@contextmanager
def nothing_left() -> Iterator[None]:
    """Of the block nothing is left in the end: no process, no thread, no open file."""
    before = children(), threads(), psutil.Process().num_fds()
    yield
    until(lambda: (children() - before[0], threads() - before[1]) == (set(), set()))
    assert psutil.Process().num_fds() <= before[2]
