"""Connections to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.settings import Settings

Connection = psycopg.Connection[DictRow]


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """A connection with one transaction, committed where the block ends well and rolled back where it does not.

    Raises UserError where the database cannot be reached or its schema is older than this library needs.
    """
    with _opened(settings) as connection:
        _require_schema(connection, settings)
        register_vector(connection)
        yield connection


@contextmanager
def session(settings: Settings) -> Iterator[Connection]:
    """A connection whose statements commit one by one, for what no transaction may hold. Raises as `connect`."""
    with connect(settings) as connection:
        connection.commit()
        connection.autocommit = True
        yield connection


def connection_pool(settings: Settings, size: int) -> ConnectionPool[Connection]:
    """An open pool of up to `size` connections like those of `session`: a search alone needs no transaction around it.

    Nothing is connected yet. Who takes a connection waits up to five seconds, then psycopg.OperationalError is raised.
    """

    def configure(connection: Connection) -> None:
        _require_schema(connection, settings)
        register_vector(connection)

    return ConnectionPool(
        settings.database(),
        kwargs={
            "autocommit": True,
            "row_factory": dict_row,
            "application_name": "image-retrieval",
            "connect_timeout": 5,
        },
        configure=configure,
        min_size=1,
        max_size=size,
        timeout=5,
        open=True,
    )


def _require_schema(connection: Connection, settings: Settings) -> None:
    found = _schema_version(connection)
    if found is None:
        raise UserError(f"{where(settings)} has no tables of image-retrieval yet: run `image-retrieval migrate`")
    if found < newest_version():
        raise UserError(
            f"{where(settings)} has version {found} of the schema, and {newest_version()} is needed: "
            "run `image-retrieval migrate`"
        )


@cache
def newest_version() -> str:
    """The schema's version that `migrate` brings a database to, four digits."""
    versions = files("image_retrieval.store") / "migrations" / "versions"
    return max(entry.name[:4] for entry in versions.iterdir() if entry.name.endswith(".py"))


def _schema_version(connection: Connection) -> str | None:
    try:
        row = connection.execute("SELECT version_num FROM retrieval.alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row["version_num"]) if row else None


@contextmanager
def _opened(settings: Settings) -> Iterator[Connection]:
    place = where(settings)
    try:
        connection = psycopg.connect(
            settings.database(), connect_timeout=10, row_factory=dict_row, application_name="image-retrieval"
        )
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise Unavailable(
            f"{place} cannot be reached: {reason[:300]}; is it up? `make up` starts the embedded one; "
            "check IMAGE_RETRIEVAL_DATABASE_URL for another"
        ) from None
    with connection:
        yield connection


def where(settings: Settings) -> str:
    """The database in words, without its password."""
    parts = _parts(settings)
    return f"database {parts.get('dbname', '')!r} on {parts.get('host', 'the local socket')}:{parts.get('port', 5432)}"


def psql_environment(settings: Settings) -> dict[str, str]:
    """The database's address as PostgreSQL's own variables: a password has no place in a process list."""
    names = {"dbname": "PGDATABASE", "application_name": "PGAPPNAME"}
    return {names.get(key, f"PG{key.upper()}"): str(value) for key, value in _parts(settings).items()}


def _parts(settings: Settings) -> dict[str, Any]:
    url = settings.database()
    try:
        return dict(psycopg.conninfo.conninfo_to_dict(url))
    except psycopg.ProgrammingError:  # its text would repeat the password
        raise UserError(
            "IMAGE_RETRIEVAL_DATABASE_URL is no connection string: it is postgresql://user:password@host:port/database"
        ) from None
