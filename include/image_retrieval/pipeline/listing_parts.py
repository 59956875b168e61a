"""Keeps what a long listing has compared, so that the next try of its run goes on behind it if this one is killed.

A part counts for the same run and the same entry of collections.yaml, for some hours. A listing that ends, well or by
an error that trying again does not mend, leaves none.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256

import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.settings import Settings
from image_retrieval.store import parts
from image_retrieval.store.connection import Connection, session
from image_retrieval.store.listings import ListedRow, Refused
from image_retrieval.store.parts import PartKey, SavedPart

log = structlog.get_logger()
SECONDS = 10.0  # between two parts, if they hold few differences


class ListingParts:
    """The parts of one listing. Those of a listing without a run are not kept."""

    def __init__(self, collection: Collection, run_id: str, settings: Settings) -> None:
        declared = sha256(collection.model_dump_json().encode()).hexdigest()
        self._key, self._settings = PartKey(collection.name, run_id, declared), settings
        self._stack = ExitStack()
        self._session: Connection | None = None
        self._began: datetime | None = None
        self._number, self._saved_at = 0, time.monotonic()

    @property
    def any(self) -> bool:
        """Whether there are parts."""
        return self._number > 0

    def take(self, connection: Connection) -> list[SavedPart]:
        """The parts of an earlier try, whose differences go into the tables `listed` and `unlisted`."""
        self._began = parts.find_start(connection)
        found = parts.find_parts(connection, self._key)
        if not all(part.counts and part.number == at for at, part in enumerate(found)):
            self.forget()
            return []
        if found:
            parts.take_parts(connection, self._key)
            log.info("the listing goes on", collection=self._key.collection, behind=found[-1].up_to)
        self._number = len(found)
        return found

    def is_due(self) -> bool:
        """Whether it is time for the next part."""
        return bool(self._key.run_id) and time.monotonic() - self._saved_at >= SECONDS

    def save(
        self, up_to: str, listed: int, refused: Sequence[Refused], rows: Sequence[ListedRow], missing: Sequence[str]
    ) -> None:
        """Save a part: its last URI, the number of its images, and its differences."""
        if not self._key.run_id or self._began is None:
            return
        part = SavedPart(self._number, up_to, listed, [asdict(entry) for entry in refused])
        parts.save_part(self._own(), self._key, part, rows, missing, self._began)
        self._number += 1
        self._saved_at = time.monotonic()

    def forget(self) -> None:
        """Delete the parts, whatever becomes of the listing's transaction."""
        parts.forget_parts(self._own(), self._key.collection)
        self._number = 0

    def close(self) -> None:
        """Close the session."""
        self._stack.close()

    def _own(self) -> Connection:
        """A session beside the listing's transaction."""
        if self._session is None:
            self._session = self._stack.enter_context(session(self._settings))
        return self._session


@contextmanager
def keeping_parts(collection: Collection, run_id: str, settings: Settings) -> Iterator[ListingParts]:
    """The parts of a listing, which go if the block fails for good."""
    kept = ListingParts(collection, run_id, settings)
    try:
        yield kept
    except UserError as error:
        if kept.any and not isinstance(error, Unavailable):
            kept.forget()
        raise
    finally:
        kept.close()
