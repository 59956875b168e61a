"""The table `retrieval.pending`: announced changes of the object store that are not known to be done."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_column
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Pending:
    """One change: the columns of `retrieval.pending`, whose comments explain them."""

    collection: str
    uri: str
    kind: Literal["write", "delete", "empty"]
    sha256: str | None = None
    former_uri: str | None = None
    etag: str | None = None
    last_modified: datetime | None = None


def announce(connection: Connection, change: Pending) -> None:
    """Record a change, replacing an earlier one of the same object."""
    connection.execute(statement("pending", "announce"), asdict(change))


def read_pending(connection: Connection, collection: str) -> list[Pending]:
    """The pending changes of a collection, oldest first."""
    return fetch_all(connection, Pending, statement("pending", "read_pending"), {"collection": collection})


def collections_with_pending(connection: Connection) -> list[str]:
    """The collections with pending changes, including dropped ones."""
    return fetch_column(connection, statement("pending", "collections_with_pending"))


def forget_pending(connection: Connection, change: Pending) -> None:
    """Remove a change that is done or undone."""
    connection.execute(statement("pending", "forget_pending"), asdict(change))
