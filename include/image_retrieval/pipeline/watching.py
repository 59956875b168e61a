"""Watches a source between scheduled runs: drains its queue of events, looks for recent objects, counts the hints."""

import time
from datetime import timedelta

import structlog

from image_retrieval import allowed
from image_retrieval.collection import Collection
from image_retrieval.events import uris_of_text
from image_retrieval.objects import ObjectStore
from image_retrieval.objects.queues import drain
from image_retrieval.pipeline.hints import receive
from image_retrieval.settings import Settings
from image_retrieval.store import hints, models
from image_retrieval.store.connection import connect
from image_retrieval.store.hints import Waiting
from image_retrieval.watch_options import WatchOptions

log = structlog.get_logger()
POLL_SECONDS = 5.0  # between two polls, at least
SHARE = 50  # a poll rests for so many times as long as it took: it takes 2 % of the time
RECENT = timedelta(hours=1)  # before the last run: clocks differ, and a run may not have seen what came while it listed
REPEAT_SECONDS = 600.0  # after which a run is asked for again if nobody has taken the hints


class Watch:
    """The watch over one collection. Each `look` takes as long as its requests do."""

    def __init__(self, collection: Collection, settings: Settings) -> None:
        self._next_poll = 0.0
        self._asked: float | None = None  # when a run was last asked for
        self.renew(collection, settings)

    def renew(self, collection: Collection, settings: Settings) -> None:
        """Go on with an entry and settings that may have changed."""
        self._collection, self._settings = collection, settings
        self._store = ObjectStore(settings)

    @property
    def options(self) -> WatchOptions:
        """The collection's key `watch`."""
        return self._collection.watch or WatchOptions()

    def look(self) -> Waiting | None:
        """Collect hints. Returns what waits if a run is due, which is then asked for once.

        Raises UserError, and Unavailable if queue, store or database do not answer.
        """
        if self.options.queue:
            drain(self.options.queue, self._collection.source, self._settings, self._take)
        if self.options.poll and time.monotonic() >= self._next_poll:
            started = time.monotonic()
            self._poll()
            ended = time.monotonic()
            self._next_poll = ended + max(POLL_SECONDS, SHARE * (ended - started))
        with connect(self._settings) as connection:
            waiting = hints.count_waiting(connection, self._collection.name)
        return waiting if self._is_due(waiting) else None

    def _take(self, bodies: list[str]) -> None:
        receive((uri for body in bodies for uri in uris_of_text(body)), self._settings)

    def _poll(self) -> None:
        """Hint the objects that were written since shortly before the last run, and whose version is not known.

        While a run is under way, its own images are not known yet, so the poll after it finds what the run does not.
        """
        allowed.require(self._collection.source, self._settings)
        name = self._collection.name
        with connect(self._settings) as connection:
            last = hints.last_run(connection, name)
            if last.began is None or last.under_way:  # the first run lists everything
                return
            since = last.began - RECENT
            space = models.current(connection, self._collection).space
        recent = [
            (entry.uri, entry.etag)
            for page in self._store.pages(self._collection.source, follow_links=self._collection.follow_links)
            for entry in page
            if entry.last_modified >= since
        ]
        with connect(self._settings) as connection:
            found = hints.find_unknown(connection, space, recent)
        if found:
            receive(found, self._settings)

    def _is_due(self, waiting: Waiting) -> bool:
        if not waiting.images or (waiting.images < self.options.images and waiting.seconds < self.options.seconds):
            return False
        now = time.monotonic()
        since = None if self._asked is None else now - self._asked
        if since is not None and waiting.seconds > since and since < REPEAT_SECONDS:  # the run has yet to begin
            return False
        self._asked = now
        return True
