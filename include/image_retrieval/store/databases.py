"""Databases of the embedded server."""

from collections.abc import Iterable

import psycopg

from image_retrieval.store.sql import statement


def create_databases(url: str, names: Iterable[str]) -> None:
    """Create the missing ones of these databases; `url` is that of another one on the server. Raises DatabaseError."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            if connection.execute(statement("databases", "find_database"), {"name": name}).fetchone() is None:
                connection.execute(statement("databases", "create_database", database=name))
