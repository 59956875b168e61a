"""Databases that only some tests see."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from image_retrieval.local import services


@contextmanager
def own_database(folder: Path, name: str) -> Iterator[str]:
    """The URL of a migrated database that is dropped afterwards, on the PostgreSQL whose services lie in a folder."""
    database, admin = sql.Identifier(name), services.database_url(folder, "postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(database, sql.Identifier(services.DATABASE)))
    yield services.database_url(folder, name)
    with psycopg.connect(admin, autocommit=True) as connection:  # another one: a test may kill the server
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
