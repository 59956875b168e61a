"""All that the tables hold of one collection: count it, forget it."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import psycopg

from image_retrieval.errors import UserError
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import insist, keep_loads_out, wait_shortly
from image_retrieval.store.rows import fetch_all, fetch_one, fetch_optional, fetch_value
from image_retrieval.store.sql import statement
from image_retrieval.store.vector_tables import drop_vectors


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
    return bool(fetch_value(connection, statement("dropping", "is_known"), {"collection": collection}))


def count_rows(connection: Connection, collection: str) -> Rows:
    """What there is of a collection."""
    return fetch_one(connection, Rows, statement("dropping", "count_rows"), {"collection": collection})


def vector_tables(connection: Connection, collection: str) -> list[VectorTable]:
    """The tables of a collection's vectors, under every model."""
    query = statement("dropping", "find_vector_tables")
    return fetch_all(connection, VectorTable, query, {"collection": collection})


def find_running(connection: Connection, collection: str) -> Running | None:
    """The latest run of a collection that has begun and not ended."""
    return fetch_optional(connection, Running, statement("runs", "find_running"), {"collection": collection})


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
        wait_shortly(connection)
        keep_loads_out(connection, collection)
        try:
            connection.execute(statement("vector_tables", "drop_view", view=collection))
        except psycopg.errors.DependentObjectsStillExist as error:
            told = " ".join((error.diag.message_detail or "").split())
            raise UserError(f"images.{collection} cannot be dropped: {told}: drop that first") from None
        for table in tables:
            connection.execute(statement("dropping", "empty_vectors", vectors=table.vectors))
        connection.execute(statement("locks", "wait_for_rows"))


def _drop_vectors(connection: Connection, collection: str, tables: list[VectorTable]) -> None:
    with connection.transaction():
        wait_shortly(connection)  # a reference to retrieval.image locks that, too
        for table in tables:
            drop_vectors(connection, VectorSpace(collection, table.model))
