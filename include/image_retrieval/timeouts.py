"""Ends blocks that take too long. One thread watches all of them, where timers would need a thread each."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_due: dict[threading.Event, tuple[float, Callable[[], object]]] = {}
_changed = threading.Condition()
_watch = threading.Thread()
_wakes = math.inf


def after(seconds: float, do: Callable[[], object]) -> None:
    """Call a function in another thread after `seconds`. It must not block."""
    _watch_for(threading.Event(), seconds, do)


@contextmanager
def ended_after(seconds: float, end: Callable[[], object]) -> Iterator[threading.Event]:
    """Call `end`, in another thread, if the block takes longer; the event says whether that happened.

    `end` must not block. It is never called after the block.
    """
    late = threading.Event()
    _watch_for(late, seconds, end)
    try:
        yield late
    finally:
        with _changed:
            _due.pop(late, None)


def _watch_for(late: threading.Event, seconds: float, end: Callable[[], object]) -> None:
    global _watch
    due = time.monotonic() + seconds
    with _changed:
        _due[late] = due, end
        if not _watch.is_alive():  # never started, or left behind by a fork
            _watch = threading.Thread(target=_end_the_late, name="deadlines", daemon=True)
            _watch.start()
        elif due < _wakes:
            _changed.notify()


def _end_the_late() -> None:
    global _wakes
    with _changed:
        while True:
            now = time.monotonic()
            for late in [late for late, (due, _) in _due.items() if due <= now]:
                late.set()
                _due.pop(late)[1]()
            _wakes = min((due for due, _ in _due.values()), default=math.inf)
            _changed.wait(None if _wakes == math.inf else _wakes - now)
