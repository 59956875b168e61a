"""Clients that do not wait as they are told: they are sent away before their requests cost anything."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from image_retrieval.service.errors import Refused

CLIENTS = 10_000  # that are remembered
TRIES = 5.0  # that come too early and are refused again, before a client is sent away
EARNED_SECONDS = 10.0  # after which it has one of them more
SENT_AWAY_SECONDS = 60.0
HELD_SECONDS = 10.0  # until such a client is answered: each answer costs its server, Airflow's above all
HEARD_SECONDS = 0.3  # until a client has heard of a refusal; what it sends before is part of one burst
MOST_WAIT = 5.0  # seconds that are asked for; to come back after as long is never too early
LATELY_SECONDS = 2.0


class SentAway(Refused):
    """A refusal (429) to be answered after HELD_SECONDS."""


@dataclass(slots=True)
class _Record:
    """What one client was told on one route."""

    tries: float = TRIES
    answered: float = -math.inf  # when it was last told to wait
    until: float = -math.inf  # before which it should not come back
    earned: float = -math.inf  # when tries were last added
    away: float = -math.inf  # before which it is sent away

    def refused(self, began: float, now: float, wait: float) -> None:
        self.tries = min(TRIES, self.tries + (now - self.earned) / EARNED_SECONDS)
        self.earned = now
        if began >= self.until:
            self.answered, self.until = now, now + min(wait, MOST_WAIT)
        elif began > self.answered + HEARD_SECONDS:
            self.tries -= 1
            if self.tries < 1:
                self.away = now + SENT_AWAY_SECONDS


class Backoff:
    """Who may ask now, while several clients do. For one event loop.

    A refusal says when to come back. A client that comes back to the same route before, and must be refused once more,
    loses one of its TRIES. Without one it is sent away from that route for SENT_AWAY_SECONDS. What it sent before it
    could hear of the refusal costs nothing. A client alone is never sent away: it slows nobody.
    """

    def __init__(self, most: int) -> None:
        """`most`: requests that are worked on at once, of which one client may have half."""
        self._each = max(1, most // 2)
        self._under_way: Counter[str] = Counter()
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()
        self._served: OrderedDict[str, float] = OrderedDict()

    def require_patient(self, client: str, route: str) -> None:
        """Raise SentAway for a client that has to wait."""
        record = self._records.get((client, route))
        if record is not None and self._others(client):
            left = record.away - time.monotonic()
            if left > 0:
                message = "asked again before Retry-After, many times"
                raise SentAway(429, "too_many_requests", message, "wait as long as it says", wait=math.ceil(left))

    def refused(self, client: str, route: str, began: float, wait: float) -> None:
        """A request that began then was answered with 503, and that it may be sent again after `wait` seconds."""
        record = self._records.setdefault((client, route), _Record())
        record.refused(began, time.monotonic(), wait)
        self._records.move_to_end((client, route))
        if len(self._records) > CLIENTS:
            self._records.popitem(last=False)

    def served(self, client: str) -> None:
        """A request was served."""
        self._served[client] = time.monotonic()
        self._served.move_to_end(client)
        if len(self._served) > CLIENTS:
            self._served.popitem(last=False)

    @contextmanager
    def share(self, client: str) -> Iterator[None]:
        """One of the requests that a client may have under way. Raises Refused (503) beyond its share."""
        if self._under_way[client] >= self._each and self._others(client):
            raise Refused(503, "busy", "too many requests of one client at once", "send fewer at once", wait=1)
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1
            if not self._under_way[client]:
                del self._under_way[client]

    def _others(self, client: str) -> bool:
        """Whether another client was served of late."""
        other = next((since for name, since in reversed(self._served.items()) if name != client), -math.inf)
        return time.monotonic() - other < LATELY_SECONDS
