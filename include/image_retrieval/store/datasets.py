"""Data sets: reading a collection in parts, and finding the images of an import's vectors."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
from psycopg.rows import tuple_row

from image_retrieval.store.binary_copy import copy_in
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_optional
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class ShownVectors:
    """The model whose vectors a collection's view shows."""

    model: str
    dimensions: int
    revision: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of ids, both ends included."""

    first: int
    last: int


def find_shown(connection: Connection, collection: str) -> ShownVectors | None:
    """The model whose vectors a collection's view shows, or None before its first run."""
    return fetch_optional(connection, ShownVectors, statement("datasets", "find_shown"), {"name": collection})


def plan_parts(connection: Connection, vectors: str, size: int) -> list[Span]:
    """The ids of a vector table's searchable images, as ranges of `size` images."""
    return fetch_all(connection, Span, statement("datasets", "plan_parts", vectors=vectors), {"size": size})


def read_part(connection: Connection, vectors: str, span: Span, size: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a part, `size` at a time: the view's columns, with the vector in the format of halfvec_send."""
    with connection.cursor("part", row_factory=tuple_row) as cursor:
        cursor.execute(statement("datasets", "read_part", vectors=vectors), asdict(span), binary=True)
        while rows := cursor.fetchmany(size):
            yield rows


def index_listed(connection: Connection) -> None:
    """Index the table `listed` by URI for `find_offered`."""
    connection.execute(statement("datasets", "index_listed"))


def find_offered(connection: Connection, collection: str, offered: pa.Table) -> list[dict[str, Any]]:
    """The known facts of the listed images in `offered` (number int64, uri string), in order of their numbers.

    A second offer of the same image has no match.
    """
    connection.execute(statement("datasets", "create_offered"))
    copy_in(connection, statement("datasets", "copy_offered"), offered)
    rows = connection.execute(statement("datasets", "find_offered"), {"collection": collection}).fetchall()
    connection.execute(statement("datasets", "forget_offered"))
    return rows
