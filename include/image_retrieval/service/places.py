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

FORGOTTEN_SECONDS = 10.0  # after which half of what a client has used counts
CLIENTS = 10_000  # whose use is remembered
RESTS = 3.0  # times as long as it was used a place rests: long answers get a quarter of a core each
MOST_REST = 5.0  # seconds
LATELY_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Waiter:
    client: str
    woken: threading.Event = field(default_factory=threading.Event)
    has_place: bool = False


class Places:
    """So many who work at once, and so many who wait. For any number of threads.

    A place goes to the client that holds the fewest, then to the one that has used them least of late, then to who has
    waited longest. One client holds at most `each`, so that others find one. Where all who may wait do, a client that
    has fewer waiting than another takes the place of the other's last.

    `spares`: work of another kind, which this work must not slow. While other clients do that, a place rests after each
    use, RESTS times as long as it was used.
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
        """Work in a place. Raises Refused (503) where none is free within the asker's time, or too many wait."""
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
        """How many wait for a place."""
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
            raise Refused(503, "too_slow", f"no place for {self._what} in time", "try again in a moment", wait=5)
        raise Refused(503, "busy", f"too many wait for {self._what}", "try again in a moment", wait=2)

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
        """Let the last one go of the client that has most waiting; where several have, of the one that came last."""
        counts = Counter(waiter.client for waiter in self._waiting)
        most = max(counts.values())
        last = next(waiter for waiter in reversed(self._waiting) if counts[waiter.client] == most)
        self._waiting.remove(last)
        last.woken.set()

    def _use(self, client: str, now: float) -> float:
        """Seconds that a client has used places for, the fewer the longer ago."""
        seconds, since = self._used.get(client, (0.0, 0.0))
        return seconds * math.pow(0.5, (now - since) / FORGOTTEN_SECONDS)

    def _note(self, client: str, seconds: float) -> None:
        now = time.monotonic()
        self._used[client] = (self._use(client, now) + seconds, now)
        self._used.move_to_end(client)
        if len(self._used) > CLIENTS:
            self._used.popitem(last=False)
