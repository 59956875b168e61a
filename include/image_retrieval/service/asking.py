"""The client of a request and its deadline, known to all code that works on the request."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field

from image_retrieval.service.errors import Refused
from image_retrieval.timeouts import ended_after

GONE = 499  # the status counted for a client that disconnected


@dataclass(eq=False)
class Asker:
    """One request: the client that it counts for, and its deadline in monotonic time."""

    client: str = ""
    deadline: float = math.inf
    holds: bool = False  # whether contexts of `held` stay open until `release`
    _kept: dict[object, ExitStack] = field(default_factory=dict)
    _gone: bool = False
    _ends: dict[threading.Event, Callable[[], object]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def left(self) -> float:
        """Seconds until the deadline. Raises Refused (503) after it, and when nobody waits for the answer."""
        left = self.deadline - time.monotonic()
        if self._gone or left <= 0:
            raise Refused(503, "too_slow", "the request's time is over", "try again in a moment", wait=5)
        return left

    def give_up(self) -> None:
        """End the work in progress: nobody waits for the answer any more."""
        with self._lock:
            self._gone = True
            ends, self._ends = self._ends, {}
            for event, end in ends.items():
                event.set()
                end()

    @contextmanager
    def held(self, kind: object, enter: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
        """Enter a context once per kind: for the block or, if this asker `holds`, until `release`."""
        if not self.holds:
            with enter():
                yield
            return
        if kind not in self._kept:
            stack = ExitStack()
            stack.enter_context(enter())
            self._kept[kind] = stack
        yield

    def release(self) -> None:
        """Leave the held contexts, once the answer is written."""
        while self._kept:
            _, stack = self._kept.popitem()
            stack.close()

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[threading.Event]:
        """Call `end` if the block still runs at the deadline; the event says whether that happened.

        `end` must not block. It is never called after the block.
        """
        over = threading.Event()
        with self._lock:
            if self._gone:
                over.set()
                end()
            else:
                self._ends[over] = end
        try:
            with self._ended_in_time():
                yield over
        finally:
            with self._lock:
                self._ends.pop(over, None)

    def _ended_in_time(self) -> AbstractContextManager[object]:
        if math.isinf(self.deadline):
            return nullcontext()
        return ended_after(max(0.0, self.deadline - time.monotonic()), self.give_up)


_current: ContextVar[Asker] = ContextVar("asker", default=Asker())  # noqa: B039  # outside a request: no deadline


def current() -> Asker:
    """The current request; outside a request, one without a deadline."""
    return _current.get()


@contextmanager
def asked_by(asker: Asker) -> Iterator[Asker]:
    """Let the block, and the threads that it hands work to, count for this asker."""
    token = _current.set(asker)
    try:
        yield asker
    finally:
        _current.reset(token)
