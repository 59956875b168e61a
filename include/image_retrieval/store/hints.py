"""Hints: objects that may have changed, until a run has looked at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_column, fetch_one
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Waiting:
    """The number of objects that wait for a run, and for how many seconds the first one has."""

    images: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Known:
    """The number of a collection's images, and of those that were marked as deleted within a day."""

    known: int
    gone: int


@dataclass(frozen=True, slots=True)
class LastRun:
    """When a collection's last run began, None before the first one, and whether one is under way."""

    began: datetime | None
    under_way: bool


def write_hints(connection: Connection, hints: Sequence[tuple[str, str]]) -> None:
    """Record hints, each a collection's name and a URI. A repeated one only counts up."""
    if hints:
        names, uris = zip(*hints, strict=True)
        connection.execute(statement("hints", "write"), {"collections": list(names), "uris": list(uris)})


def count_waiting(connection: Connection, collection: str) -> Waiting:
    """How many objects of a collection wait for a run, and how long."""
    return fetch_one(connection, Waiting, statement("hints", "count_waiting"), {"collection": collection})


def create_hinted(connection: Connection) -> None:
    """Create the empty table `hinted`."""
    connection.execute(statement("hints", "create_hinted"))


def take_hints(connection: Connection, collection: str, limit: int) -> list[str]:
    """Put the oldest hints into the table `hinted`, and return their URIs."""
    uris = fetch_column(connection, statement("hints", "take"), {"collection": collection, "limit": limit})
    connection.execute(statement("hints", "analyse_hinted"))
    return uris


def leave_refused(connection: Connection, uris: Sequence[str]) -> None:
    """Let the objects of the table `hinted` that the store does not show be compared by the listing alone."""
    connection.execute(statement("hints", "leave_refused"), {"uris": list(uris)})


def forget_hints(connection: Connection, collection: str) -> None:
    """Remove the hints of the table `hinted`; one that was repeated meanwhile stays."""
    connection.execute(statement("hints", "forget"), {"collection": collection})


def leave_unlisted(connection: Connection) -> None:
    """Take missing objects out of the table `difference`."""
    connection.execute(statement("hints", "leave_unlisted"))


def count_known(connection: Connection, collection: str) -> Known:
    """How many images a collection has, and how many it has lost within a day."""
    return fetch_one(connection, Known, statement("hints", "count_known"), {"collection": collection})


def find_unknown(connection: Connection, space: VectorSpace, versions: Sequence[tuple[str, str]]) -> list[str]:
    """The URIs among `versions`, pairs of URI and etag, that have neither a vector nor a rejection."""
    if not versions:
        return []
    uris, etags = zip(*versions, strict=True)
    values = {"collection": space.collection, "uris": list(uris), "etags": list(etags)}
    return fetch_column(connection, statement("hints", "find_unknown", vectors=space.vector_table), values)


def last_run(connection: Connection, collection: str) -> LastRun:
    """The last run of a collection."""
    return fetch_one(connection, LastRun, statement("hints", "find_last_run"), {"collection": collection})
