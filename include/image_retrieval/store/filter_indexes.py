"""Indexes for the filters that searches really use: proposes them, makes them where a collection allows it.

They are partial indexes of one collection on `retrieval.image`. Each makes its loads write more, so the upkeep makes
one only for filters that were slow again and again, and drops one that nothing has used for long.
"""

import time
from dataclasses import dataclass

import structlog
from psycopg import sql

from image_retrieval.collection import Collection
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.preparing import is_pooled
from image_retrieval.store.rows import fetch_all, fetch_value
from image_retrieval.store.sql import statement

LEAST_SLOW = 10  # searches by a column or an attribute that took long, before it gets an index
DAYS = 30  # without any use, after which an index is dropped, and slow searches are forgotten
KEPT = 1000  # columns and attributes of a collection whose uses are kept
MOST = 8  # indexes that the upkeep makes for one collection

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Unused:
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class WantedIndex:
    """An index that slow filters would have been served by.

    `definition` is what follows CREATE INDEX, `expression` what the planner needs statistics on, if anything.
    """

    name: str
    definition: str
    expression: str | None
    uses: int
    slow: int
    subjects: str


def ensure_filter_indexes(collection: Collection, settings: Settings) -> list[str]:
    """Drop indexes that no filter uses any more, and make those that slow filters want. Returns what it did, in words.

    Where the collection does not say `filter_indexes: true`, they are only proposed. Tables that a scan reads at once
    need none. Readers and writers never wait, except behind a pooler: there everything is one transaction.
    """
    while True:  # each try has its own transaction: CREATE INDEX CONCURRENTLY waits for the snapshots of open ones
        with connect(settings) as connection:
            if not is_pooled(connection):
                connection.commit()
                connection.autocommit = True
            lock = {"vectors": "image", "local": not connection.autocommit}  # of all collections: they share the table
            if fetch_value(connection, statement("indexing", "try_lock"), lock):
                return _ensure(connection, collection, settings)
        time.sleep(1)


def _ensure(connection: Connection, collection: Collection, settings: Settings) -> list[str]:
    """Do so under the lock of the table's indexes."""
    done = _drop_unused(connection, collection)
    made: int = fetch_value(connection, statement("filters", "count_made"), {"collection": collection.name})
    wanted = find_wanted(connection, collection, settings, MOST - made)
    for index in wanted:
        done.append(_make(connection, index) if collection.filter_indexes else _proposal(index))
    if wanted and collection.filter_indexes:
        connection.execute(statement("indexing", "analyse_images"))  # also what the indexes' expressions hold
    _age_uses(connection, collection)
    for line in done:
        log.info("indexes for filters", plan=line)
    return done


def _age_uses(connection: Connection, collection: Collection) -> None:
    """Forget what has long not been used, and halve what is counted, so that filters of former days count less.

    Does so at the next upkeep if a search notes its own meanwhile.
    """
    asked = {"collection": collection.name, "days": DAYS, "most": KEPT}
    with connection.transaction():
        if fetch_value(connection, statement("filters", "try_to_change_uses")):
            connection.execute(statement("filters", "forget_uses"), asked)
            connection.execute(statement("filters", "halve_uses"), asked)


def find_wanted(connection: Connection, collection: Collection, settings: Settings, most: int) -> list[WantedIndex]:
    """The indexes, at most so many, that slow filters of late would have been served by, the most wanted first.

    Attributes that no image of the collection has want none: whoever searches can invent their names.
    """
    vectors = {"vectors": collection.vector_table}
    images: int | None = fetch_value(connection, statement("filters", "count_images"), vectors)
    if most < 1 or (images or 0) < settings.index_from_rows:
        return []
    asked = {"collection": collection.name, "days": DAYS, "least": LEAST_SLOW, "most": most}
    return fetch_all(connection, WantedIndex, statement("filters", "find_wanted"), asked)


def _proposal(index: WantedIndex) -> str:
    return (
        f"{index.slow} of {index.uses} searches by {index.subjects} took long: say filter_indexes: true for this "
        f"collection, or run CREATE INDEX CONCURRENTLY {index.definition}"
    )


def _drop_unused(connection: Connection, collection: Collection) -> list[str]:
    asked = {"collection": collection.name, "days": DAYS}
    done = []
    for index in fetch_all(connection, _Unused, statement("filters", "find_unused"), asked):
        _drop(connection, index.name)
        done.append(f"dropped {index.name}: {index.why}")
    return done


def _make(connection: Connection, index: WantedIndex) -> str:
    connection.execute(statement("filters", "note_index"), {"name": index.name})
    definition = _quoted(index.definition)
    connection.execute(
        statement("filters", "make_index", concurrently=_concurrently(connection), definition=definition)
    )
    if index.expression is not None:
        expression = _quoted(index.expression)
        made = statement("filters", "make_statistics", statistics=f"{index.name}_stat", expression=expression)
        connection.execute(made)
    return f"made {index.name}, since {index.slow} of {index.uses} searches by {index.subjects} took long"


def _quoted(text: str) -> sql.SQL:
    """A text of retrieval.filter_index, which quotes whatever it holds."""
    return sql.SQL(text)


def _drop(connection: Connection, name: str) -> None:
    connection.execute(statement("filters", "drop_statistics", statistics=f"{name}_stat"))
    connection.execute(statement("filters", "drop_index", index=name, concurrently=_concurrently(connection)))
    connection.execute(statement("filters", "forget_index"), {"name": name})


def _concurrently(connection: Connection) -> sql.SQL:
    return sql.SQL("CONCURRENTLY" if connection.autocommit else "")
