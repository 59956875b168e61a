"""Notes what searches filter by, and how long they take: the upkeep proposes indexes by it.

Searches in plain SQL note nothing, since they may run in read-only transactions and under roles that may not write.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import psycopg
import structlog
from psycopg import pq
from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection, is_read_only
from image_retrieval.store.sql import statement

SLOW = 0.05  # seconds from which on a search with a filter took long
SECONDS_BETWEEN = 60.0  # so that searches of one process seldom write
KEPT = 1000  # searches that wait to be written; later ones are left out

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Use:
    collection: str
    filter: Mapping[str, object]
    seconds: float


_lock = threading.Lock()
_waiting: list[_Use] = []
_next = 0.0


def note_filter(connection: Connection, collection: str, filter: Mapping[str, object] | None, seconds: float) -> None:
    """Note a search with a filter that took so many seconds; the tally is written once a minute, the first at once.

    Where the database or the role does not allow it, or writing fails, the search is none the worse for it, and the
    caller's transaction goes on.
    """
    global _next
    if not filter:
        return
    with _lock:
        if len(_waiting) < KEPT:
            _waiting.append(_Use(collection, filter, seconds))
        if time.monotonic() < _next:
            return
        _next = time.monotonic() + SECONDS_BETWEEN
        searches = _waiting[:]
        _waiting.clear()
    _write(connection, searches)


def _write(connection: Connection, searches: list[_Use]) -> None:
    if is_read_only(connection) or connection.info.transaction_status == pq.TransactionStatus.INERROR:
        return
    try:
        with connection.transaction():
            connection.execute(
                statement("filters", "note_uses"), {"searches": Jsonb([asdict(use) for use in searches]), "slow": SLOW}
            )
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        return
    except psycopg.Error as error:
        cause = error.diag.message_primary or type(error).__name__
        log.warning("what searches filter by was not noted", searches=len(searches), cause=cause)
