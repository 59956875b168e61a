"""Listings: the temporary tables that compare a source with `retrieval.image`, until the transaction ends.

`listed` holds the objects of the source, `difference` what is not as it was, `due` what is to be embedded.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from image_retrieval.errors import Reason
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_one
from image_retrieval.store.sql import statement

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
class Unsupported:
    """An object that no table can hold under its name: a URI that they can hold, and what is wrong, in words."""

    uri: str
    etag: str
    detail: str


@dataclass(frozen=True, slots=True)
class Differences:
    """How many images a listing misses, and how many objects are new to it, or were deleted and are back."""

    gone: int
    added: int


@dataclass(frozen=True, slots=True)
class DueCounts:
    """How many images are to be embedded: those without a vector, and those whose vector is of another version."""

    new: int
    changed: int


def prepare_session(connection: Connection) -> None:
    """Give the transaction the memory that comparing takes."""
    connection.execute(statement("listings", "prepare_session"))


@contextmanager
def writing_listed(connection: Connection) -> Iterator[Callable[[ListedRow], None]]:
    """Fill the table `listed` by the function that the block gets; it is complete once the block has ended."""
    connection.execute(statement("listings", "create_listed"))
    with connection.cursor().copy(statement("listings", "copy_listed")) as copy:
        copy.set_types(TYPES)
        yield copy.write_row


def forget_repeated(connection: Connection) -> int:
    """Keep each object once: as it was last modified. Returns how many rows went."""
    return connection.execute(statement("listings", "forget_repeated")).rowcount


def analyse_listed(connection: Connection) -> None:
    """Tell the planner what `listed` holds."""
    connection.execute(statement("listings", "analyse_listed"))


def find_differences(connection: Connection, space: VectorSpace) -> Differences:
    """Compare `listed` with the images and vectors of a space, into the table `difference`."""
    names = {"collection": space.collection, "model": space.model}
    connection.execute(statement("listings", "find_differences", vectors=space.vector_table), names)
    return fetch_one(connection, Differences, statement("listings", "count_differences"))


def mark_gone(connection: Connection) -> None:
    """Mark the images deleted that the listing misses."""
    connection.execute(statement("listings", "mark_gone"))


def forget_rejected(connection: Connection, collection: str, unsupported: Sequence[Unsupported]) -> None:
    """Forget rejections of versions that are no more; those of `unsupported` objects stay."""
    kept = {"collection": collection, "unsupported": [entry.uri for entry in unsupported]}
    connection.execute(statement("listings", "forget_rejected"), kept)


def reject_unsupported(
    connection: Connection, collection: str, run_id: str, unsupported: Sequence[Unsupported]
) -> None:
    """Record objects that no table can hold under their names as rejected."""
    key = {"collection": collection, "run_id": run_id, "reason": str(Reason.UNSUPPORTED_NAME)}
    if unsupported:
        with connection.cursor() as cursor:
            rows = [{**key, **asdict(entry)} for entry in unsupported]
            cursor.executemany(statement("listings", "reject_unsupported"), rows)


def narrow_listed(connection: Connection) -> None:
    """Leave only the objects in `listed` that are not as they were."""
    connection.execute(statement("listings", "narrow_listed"))


def restore(connection: Connection, collection: str) -> int:
    """Take the mark from images that were deleted and are listed. Returns how many."""
    return connection.execute(statement("listings", "restore"), {"collection": collection}).rowcount


def register_listed(connection: Connection, collection: str) -> None:
    """Give each new object of `listed` its row in `retrieval.image`, and so its id."""
    for kind in ID_KINDS:
        connection.execute(statement("listings", "register"), {"collection": collection, "kind": kind})


def regroup(connection: Connection, collection: str) -> None:
    """Bring group_id and intra_id of the images in step with `listed`."""
    connection.execute(statement("listings", "regroup"), {"collection": collection})


def find_due(connection: Connection, space: VectorSpace, *, full: bool) -> DueCounts:
    """Put what is to be embedded for a space into the table `due`; `full`: all that is in `listed`."""
    names = {"collection": space.collection, "model": space.model, "full": full}
    connection.execute(statement("listings", "find_due", vectors=space.vector_table), names)
    return fetch_one(connection, DueCounts, statement("listings", "count_due"))


def read_due(connection: Connection, limit: int, size: int) -> Iterator[list[dict[str, Any]]]:
    """The first rows of `due` in order of their URIs, `size` at a time, as a manifest has them."""
    with connection.cursor(name="due") as cursor:
        cursor.execute(statement("listings", "read_due"), {"limit": limit})
        while rows := cursor.fetchmany(size):
            yield rows
