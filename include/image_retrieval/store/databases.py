"""Databases of the embedded server."""

from collections.abc import Iterable

import psycopg

from image_retrieval.store.sql import statement


def create_databases(url: str, names: Iterable[str]) -> None:
    """Create those of these databases that a server lacks; `url` is of another one there. Raises DatabaseError."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            if connection.execute(statement("databases", "find_database"), {"name": name}).fetchone() is None:
                connection.execute(statement("databases", "create_database", database=name))
