"""A bounded number of places for work of one kind, which clients share fairly."""

import math
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from image_retrieval.service.asking import Asker, current
from image_retrieval.service.errors import Refused
from image_retrieval.timeouts import after

FORGOTTEN_SECONDS = 10.0  # half-life of a client's use
CLIENTS = 10_000  # clients whose use is kept
RESTS = 10.0  # a place rests this many times as long as it was used: long answers get an eleventh of a core each
MOST_REST = 5.0  # seconds
LATELY_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Waiter:
    client: str
    woken: threading.Event = field(default_factory=threading.Event)
    has_place: bool = False


class Places:
    """Limits how many requests do one kind of work at once, and how many wait for it. Thread-safe.

    A free place goes to the client that holds the fewest places, then to the one that has used them least recently,
    then to the one that has waited longest. One client holds at most `each` places, so that some are left for others.
    If the queue is full, the client with the most waiting requests loses its last one.

    `spares`: another kind of work, which this one must not slow down. While other clients do that work, a place rests
    after each use, RESTS times as long as it was used.
    """

    def __init__(
        self, what: str, places: int, waiting: int, each: int | None = None, spares: "Places | None" = None
    ) -> None:
        self._what, self._free, self._most_waiting, self._each = what, places, waiting, each or places
        self._spares = spares
        self._held: Counter[str] = Counter()
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._waiting: list[_Waiter] = []
        self._lock = threading.Lock()

    @contextmanager
    def place(self, asker: Asker | None = None) -> Iterator[None]:
        """Hold a place for the block. Raises Refused (503) if none is free in the asker's time, or too many wait."""
        asker = asker or current()
        asker.left()
        self._enter(asker)
        started = time.monotonic()
        try:
            asker.left()
            yield
        finally:
            seconds = time.monotonic() - started
            with self._lock:
                self._note(asker.client, seconds)
            if self._spares is not None and self._spares.others_lately(asker.client):
                after(min(RESTS * seconds, MOST_REST), partial(self._leave, asker.client))
            else:
                self._leave(asker.client)

    def others_lately(self, client: str) -> bool:
        """Whether another client has worked here within the last second."""
        with self._lock:
            since = next((since for name, (_, since) in reversed(self._used.items()) if name != client), -math.inf)
        return time.monotonic() - since < LATELY_SECONDS

    def _leave(self, client: str) -> None:
        with self._lock:
            self._free += 1
            self._held[client] -= 1
            self._held += Counter()  # drops those that are zero
            self._hand_out()

    def waiting(self) -> int:
        """The number of requests that wait for a place."""
        with self._lock:
            return len(self._waiting)

    def _enter(self, asker: Asker) -> None:
        waiter = _Waiter(asker.client)
        with self._lock:
            self._waiting.append(waiter)
            self._hand_out()
            if not waiter.has_place and len(self._waiting) > self._most_waiting:
                self._send_away()
        with asker.ending(waiter.woken.set):
            waiter.woken.wait()
        with self._lock:
            if waiter.has_place:
                return
            was_waiting = waiter in self._waiting
            if was_waiting:
                self._waiting.remove(waiter)
        if was_waiting:
            raise Refused(503, "too_slow", f"waited too long for {self._what}", "try again in a moment", wait=5)
        raise Refused(503, "busy", f"too many requests wait for {self._what}", "try again in a moment", wait=2)

    def _hand_out(self) -> None:
        now = time.monotonic()
        while self._free:
            able = [waiter for waiter in self._waiting if self._held[waiter.client] < self._each]
            if not able:
                return
            order = {name: (self._held[name], self._use(name, now)) for name in {one.client for one in able}}
            chosen = min(able, key=lambda waiter: order[waiter.client])
            self._waiting.remove(chosen)
            self._free -= 1
            self._held[chosen.client] += 1
            chosen.has_place = True
            chosen.woken.set()

    def _send_away(self) -> None:
        """Drop the last waiter of the client with most waiters; among equals, of the client that came last."""
        counts = Counter(waiter.client for waiter in self._waiting)
        most = max(counts.values())
        last = next(waiter for waiter in reversed(self._waiting) if counts[waiter.client] == most)
        self._waiting.remove(last)
        last.woken.set()

    def _use(self, client: str, now: float) -> float:
        """Seconds for which a client has used places; older use counts less."""
        seconds, since = self._used.get(client, (0.0, 0.0))
        return seconds * math.pow(0.5, (now - since) / FORGOTTEN_SECONDS)

    def _note(self, client: str, seconds: float) -> None:
        now = time.monotonic()
        self._used[client] = (self._use(client, now) + seconds, now)
        self._used.move_to_end(client)
        if len(self._used) > CLIENTS:
            self._used.popitem(last=False)
