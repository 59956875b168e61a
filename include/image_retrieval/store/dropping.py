"""Counts and removes all rows of one collection."""

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
    """The number of a collection's rows in each table."""

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
    """Whether the tables have rows of a collection of that name, or pending changes of a dropped one."""
    return bool(fetch_value(connection, statement("dropping", "is_known"), {"collection": collection}))


def count_rows(connection: Connection, collection: str) -> Rows:
    """The number of a collection's rows in each table."""
    return fetch_one(connection, Rows, statement("dropping", "count_rows"), {"collection": collection})


def vector_tables(connection: Connection, collection: str) -> list[VectorTable]:
    """The tables of a collection's vectors, under every model."""
    query = statement("dropping", "find_vector_tables")
    return fetch_all(connection, VectorTable, query, {"collection": collection})


def find_running(connection: Connection, collection: str) -> Running | None:
    """The latest run of a collection that has begun and not ended."""
    return fetch_optional(connection, Running, statement("runs", "find_running"), {"collection": collection})


def forget_collection(connection: Connection, collection: str, seconds: float) -> None:
    """Remove a collection's view, vectors and rows, in the current transaction, which holds the collection's lock.

    Searches of other collections wait only for its end: the rows are deleted first, the tables last. Raises Unavailable
    if searches hold the collection for `seconds`, and UserError if a user's object depends on its view.
    """
    tables = vector_tables(connection, collection)
    insist(collection, partial(_close, connection, collection, tables), seconds)
    connection.execute(statement("dropping", "forget_collection"), {"collection": collection})
    insist(collection, partial(_drop_vectors, connection, collection, tables), seconds)


def _close(connection: Connection, collection: str, tables: list[VectorTable]) -> None:
    """Drop the view and empty the vector tables, whose rows reference those of the images."""
    with connection.transaction():
        wait_shortly(connection)
        keep_loads_out(connection, collection)
        try:
            connection.execute(statement("vector_tables", "drop_view", view=collection))
        except psycopg.errors.DependentObjectsStillExist as error:
            message = " ".join((error.diag.message_detail or "").split())
            raise UserError(f"images.{collection} cannot be dropped: {message}: drop that first") from None
        for table in tables:
            connection.execute(statement("dropping", "empty_vectors", vectors=table.vectors))
        connection.execute(statement("locks", "wait_for_rows"))


def _drop_vectors(connection: Connection, collection: str, tables: list[VectorTable]) -> None:
    with connection.transaction():
        wait_shortly(connection)  # the reference to retrieval.image locks that table, too
        for table in tables:
            drop_vectors(connection, VectorSpace(collection, table.model))
