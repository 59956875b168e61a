"""Example searches, as a user would type them, and their answers."""

from dataclasses import dataclass

from psycopg import sql

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_column
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Example:
    """The text of a query for psql, and its answer."""

    query: str
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def example_searches(connection: Connection, collection: str) -> list[Example]:
    """Three searches of a collection; none if it has fewer than two images."""
    ids = fetch_column(connection, statement("examples", "find_two", view=collection))
    if len(ids) < 2:
        return []
    first, second = (sql.Literal(image_id) for image_id in ids)
    parts: dict[str, str | sql.Literal] = {
        "view": collection,
        "collection": sql.Literal(collection),
        "first": first,
        "second": second,
    }
    return [_asked(connection, statement("examples", name, **parts)) for name in ("similar_to", "by_distance", "match")]


def _asked(connection: Connection, query: sql.Composed) -> Example:
    cursor = connection.execute(query)
    columns = tuple(column.name for column in cursor.description or ())
    return Example(query.as_string(connection), columns, [tuple(row.values()) for row in cursor])
