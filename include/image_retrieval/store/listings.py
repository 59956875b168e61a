"""Listings: the temporary tables that compare a source with `retrieval.image`, until the transaction ends.

`listed` holds the objects of the source, `difference` what has changed, `due` the images to embed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import NamedTuple

from psycopg import sql

from image_retrieval.errors import Reason
from image_retrieval.shards import ManifestRow
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_batches, fetch_column, fetch_one
from image_retrieval.store.sql import statement

RANGE = 6500  # known objects of a range: seven pages of a store, with room for new ones
ID_KINDS = (1, 2, 3)  # see the statement `register`
TYPES = ["text", "text", "text", "text", "int8", "timestamptz", "text", "text"]  # of the columns of `listed`


class ListedRow(NamedTuple):
    """An object of the source: a row of the table `listed`."""

    uri: str
    key: str
    short_id: str
    etag: str
    size: int
    last_modified: datetime
    group_id: str | None
    intra_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """What a listing itself rejects: a URI, escaped if no table can hold it, and why; the etag may be unknown."""

    uri: str
    etag: str
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Listed:
    """The number of objects in the temporary table `listed`, and those that it does not hold.

    `given_up` are the URIs of those whose final rejection stays.
    """

    count: int
    refused: list[Refused]
    given_up: list[str] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        """The number of objects that the listing rejects."""
        return len(self.refused) + len(self.given_up)


@dataclass(frozen=True, slots=True)
class Differences:
    """The numbers of missing images, of new objects, and of deleted images that are back."""

    gone: int
    added: int


@dataclass(frozen=True, slots=True)
class DueCounts:
    """The numbers of images to embed: without a vector, and with a vector of another version."""

    new: int
    changed: int


def prepare_session(connection: Connection) -> None:
    """Give the transaction enough memory for the comparison."""
    connection.execute(statement("listings", "prepare_session"))


def create_listed(connection: Connection) -> None:
    """Create the empty table `listed`."""
    connection.execute(statement("listings", "create_listed"))


def known_cuts(connection: Connection, collection: str) -> list[str]:
    """URIs that divide the known objects of a collection into ranges of RANGE objects."""
    return fetch_column(connection, statement("listings", "known_cuts"), {"collection": collection, "rows": RANGE})


@contextmanager
def writing_listed(connection: Connection) -> Iterator[Callable[[ListedRow], None]]:
    """Yield a function that writes to the table `listed`, which is complete after the block."""
    create_listed(connection)
    with adding_listed(connection) as write:
        yield write


@contextmanager
def adding_listed(connection: Connection) -> Iterator[Callable[[ListedRow], None]]:
    """Yield a function that writes to the table `listed`, which holds the rows after the block."""
    with connection.cursor().copy(statement("listings", "copy_listed")) as copy:
        copy.set_types(TYPES)
        yield copy.write_row


def empty_listed(connection: Connection) -> None:
    """Remove all rows of the table `listed`, for a listing that begins again."""
    connection.execute(statement("listings", "empty_listed"))


def forget_repeated(connection: Connection) -> int:
    """Keep each object once, in its latest version. Returns the number of removed rows."""
    return connection.execute(statement("listings", "forget_repeated")).rowcount


def analyse_listed(connection: Connection) -> None:
    """Update the planner's statistics of `listed`."""
    connection.execute(statement("listings", "analyse_listed"))


def find_differences(
    connection: Connection, space: VectorSpace, *, hinted: bool = False, compared: bool = False
) -> Differences:
    """Compare `listed` with the images and vectors of a space, and fill the table `difference`.

    `hinted`: `listed` holds only the objects of the table `hinted`, so that others are not missing. `compared`: only
    the images of the table `compared` may differ.
    """
    values = {"collection": space.collection, "model": space.model, "hinted": hinted}
    images = sql.Identifier("compared") if compared else sql.Identifier("retrieval", "image")
    query = statement("listings", "find_differences", vectors=space.vector_table, images=images)
    connection.execute(query, values)
    return fetch_one(connection, Differences, statement("listings", "count_differences"))


def mark_gone(connection: Connection) -> None:
    """Mark images that the listing misses as deleted."""
    connection.execute(statement("listings", "mark_gone"))


def forget_rejected(connection: Connection, collection: str, listed: Listed, *, hinted: bool = False) -> None:
    """Forget rejections of versions that no longer exist; those of what the listing rejects stay.

    `hinted`: only those of the objects of the table `hinted`.
    """
    kept = {"collection": collection, "kept": [*(entry.uri for entry in listed.refused), *listed.given_up]}
    connection.execute(statement("listings", "forget_rejected"), {**kept, "hinted": hinted})


def reject_listed(
    connection: Connection, collection: str, run_id: str, refused: Sequence[Refused], max_attempts: int
) -> None:
    """Record what a listing rejects; a transient reason is final after `max_attempts` runs."""
    key = {"collection": collection, "run_id": run_id, "max_attempts": max_attempts}
    if refused:
        with connection.cursor() as cursor:
            rows = [{**key, **asdict(entry), "transient": entry.reason.transient} for entry in refused]
            cursor.executemany(statement("listings", "reject_listed"), rows)


def narrow_listed(connection: Connection) -> None:
    """Leave only new and changed objects in `listed`."""
    connection.execute(statement("listings", "narrow_listed"))


def restore(connection: Connection, collection: str) -> int:
    """Restore images that were marked as deleted and are listed again. Returns their number."""
    return connection.execute(statement("listings", "restore"), {"collection": collection}).rowcount


def register_listed(connection: Connection, collection: str) -> None:
    """Give each new object of `listed` its row in `retrieval.image`, and so its id."""
    for kind in ID_KINDS:
        connection.execute(statement("listings", "register"), {"collection": collection, "kind": kind})


def describe(connection: Connection, collection: str) -> int:
    """Update the metadata of the images from `listed`. Returns the number of written rows."""
    return connection.execute(statement("listings", "describe"), {"collection": collection}).rowcount


def find_due(connection: Connection, space: VectorSpace, *, full: bool) -> DueCounts:
    """Put the images to embed for a space into the table `due`; with `full`, all of `listed`."""
    names = {"collection": space.collection, "model": space.model, "full": full}
    connection.execute(statement("listings", "find_due", vectors=space.vector_table), names)
    return fetch_one(connection, DueCounts, statement("listings", "count_due"))


def read_due(connection: Connection, limit: int, size: int) -> Iterator[list[ManifestRow]]:
    """The first `limit` rows of `due` in order of their URIs, `size` at a time, with a manifest's columns."""
    return fetch_batches(connection, ManifestRow, statement("listings", "read_due"), {"limit": limit}, size=size)
