"""Rows of a query as typed records: the columns are the record's fields."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, class_row

Connection = psycopg.Connection[DictRow]
Record = TypeVar("Record")
Values = Mapping[str, object] | None


class MissingRow(LookupError):
    """A query that always has a row returned none."""


def fetch_all(connection: Connection, record: type[Record], query: sql.Composed, values: Values = None) -> list[Record]:
    """All rows of a query."""
    with connection.cursor(row_factory=class_row(record)) as cursor:
        return cursor.execute(query, values).fetchall()


def fetch_batches(
    connection: Connection,
    record: type[Record],
    query: sql.Composed,
    values: Values = None,
    *,
    size: int,
    binary: bool | None = None,
) -> Iterator[list[Record]]:
    """The rows of a query, `size` at a time, which the server keeps until they are asked for."""
    with connection.cursor(name="batches", row_factory=class_row(record)) as cursor:
        cursor.execute(query, values, binary=binary)
        while rows := cursor.fetchmany(size):
            yield rows


def fetch_optional(
    connection: Connection, record: type[Record], query: sql.Composed, values: Values = None
) -> Record | None:
    """The first row of a query, or None."""
    with connection.cursor(row_factory=class_row(record)) as cursor:
        return cursor.execute(query, values).fetchone()


def fetch_one(connection: Connection, record: type[Record], query: sql.Composed, values: Values = None) -> Record:
    """The only row of a query. Raises MissingRow."""
    found = fetch_optional(connection, record, query, values)
    if found is None:
        raise MissingRow(f"no {record.__name__}")
    return found


def fetch_value(connection: Connection, query: sql.Composed, values: Values = None) -> Any:
    """The first column of the only row of a query. Raises MissingRow."""
    row = connection.execute(query, values).fetchone()
    if row is None:
        raise MissingRow("no row")
    return next(iter(row.values()))


def fetch_column(connection: Connection, query: sql.Composed, values: Values = None) -> list[Any]:
    """The first column of all rows of a query."""
    return [next(iter(row.values())) for row in connection.execute(query, values)]
