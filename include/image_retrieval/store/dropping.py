"""All that the tables hold of one collection: count it, forget it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg
from psycopg.rows import class_row

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import insist
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows each table has of a collection."""

    images: int
    rejected: int
    runs: int
    switches: int
    verdicts: int


@dataclass(frozen=True, slots=True)
class VectorTable:
    """A table of the collection's vectors under one model."""

    vectors: str
    model: str


@dataclass(frozen=True, slots=True)
class Running:
    """A run that is under way."""

    run_id: str
    started_at: datetime


def is_known(connection: Connection, collection: str) -> bool:
    """Whether the tables know a collection of that name, or something of one that was dropped."""
    row = connection.execute(statement("dropping", "is_known"), {"collection": collection}).fetchone()
    return bool(row and row["known"])


def count_rows(connection: Connection, collection: str) -> Rows:
    """What there is of a collection."""
    with connection.cursor(row_factory=class_row(Rows)) as cursor:
        found = cursor.execute(statement("dropping", "count_rows"), {"collection": collection}).fetchone()
    assert found is not None
    return found


def vector_tables(connection: Connection, collection: str) -> list[VectorTable]:
    """The tables of a collection's vectors, under every model."""
    with connection.cursor(row_factory=class_row(VectorTable)) as cursor:
        return cursor.execute(statement("dropping", "find_vector_tables"), {"collection": collection}).fetchall()


def find_running(connection: Connection, collection: str) -> Running | None:
    """The latest run of a collection that has begun and not ended."""
    with connection.cursor(row_factory=class_row(Running)) as cursor:
        return cursor.execute(statement("dropping", "find_running"), {"collection": collection}).fetchone()


def forget_collection(connection: Connection, collection: str, seconds: float) -> None:
    """Remove view, vectors and rows of a collection, in the transaction at hand, which holds the collection's lock.

    Those who read other collections wait for the end of it only: the rows go first, the tables last. Raises Unavailable
    where somebody reads the collection for so many seconds, UserError where something of a user's depends on its view.
    """
    tables = vector_tables(connection, collection)
    insist(collection, partial(_close, connection, collection, tables), seconds)
    connection.execute(statement("dropping", "forget_collection"), {"collection": collection})
    insist(collection, partial(_drop_vectors, connection, collection, tables), seconds)


def _close(connection: Connection, collection: str, tables: list[VectorTable]) -> None:
    """Take the view away and empty the vector tables: their rows would keep the images' from going."""
    with connection.transaction():
        connection.execute(statement("dropping", "wait_shortly"))
        connection.execute(statement("removing", "keep_loads_out"), {"collection": collection})
        try:
            connection.execute(statement("view", "drop_view", view=collection))
        except psycopg.errors.DependentObjectsStillExist as error:
            told = " ".join((error.diag.message_detail or "").split())
            raise UserError(f"images.{collection} cannot be dropped: {told}: drop that first") from None
        for table in tables:
            connection.execute(statement("dropping", "empty_vectors", vectors=table.vectors))
        connection.execute(statement("dropping", "wait_for_rows"))


def _drop_vectors(connection: Connection, collection: str, tables: list[VectorTable]) -> None:
    with connection.transaction():
        connection.execute(statement("dropping", "wait_shortly"))  # a reference to retrieval.image locks that, too
        for table in tables:
            names = {"collection": collection, "model": table.model}
            connection.execute(statement("switch", "drop_vectors"), names)
