"""Prepares a session: checks the server and the extension, and sets what the library relies on."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from image_retrieval.errors import UserError
from image_retrieval.store.rows import Connection, fetch_one, fetch_value
from image_retrieval.store.sql import statement

Lift = Literal["limits", "idle_limits"] | None

POSTGRES = 16  # the first version with CREATE TABLE … STORAGE and pg_has_role(…, 'SET')
PGVECTOR = (0, 8, 4)  # in older versions, parallel builds of HNSW indexes can overrun a buffer and corrupt the index
POSTGRES_WITH_TRANSACTION_TIMEOUT = 170_000


@dataclass(frozen=True, slots=True)
class Extension:
    """pgvector in a database; `role` is the role that the session acts as, `path` its new search_path."""

    version: str
    schema: str
    usable: bool
    role: str
    path: str


@dataclass(frozen=True, slots=True)
class _Rights:
    """What a session may do to a database that has not all schemas yet; `missing` are these."""

    may_create: bool
    role: str
    missing: list[str]
    read_only: bool


def is_pooled(connection: Connection) -> bool:
    """Whether the connection goes through a pooler: each transaction may then use another session of the server."""
    return connection.prepare_threshold is None


def notice_pooler(connection: Connection) -> None:
    """Detect a pooler. Behind one, no statement is prepared, since the next one may use another session."""
    if fetch_value(connection, statement("session", "find_backend")) != connection.info.backend_pid:
        connection.prepare_threshold = None


def require_server(connection: psycopg.Connection[Any], place: str) -> None:
    """Raise UserError if PostgreSQL is too old, or the database cannot hold every text."""
    version = connection.info.server_version
    if version < POSTGRES * 10_000:
        raise UserError(f"{place} is PostgreSQL {version // 10_000}, but {POSTGRES} or newer is needed: upgrade it")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        raise UserError(
            f"{place} is encoded in {encoding}, but file names and captions need UTF8: create another one, "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def prepare(connection: Connection, *, local: bool, lift: Lift = "limits", own: bool = True) -> Extension | None:
    """Set what the library relies on, and return pgvector's version and schema, or None if it is missing.

    `local`: until the transaction ends, else until the session does. `lift`: the limits to lift, "limits" or
    "idle_limits". `own`: act as the owner of the schema, if the role may.
    """
    scope = sql.SQL("LOCAL" if local else "SESSION")
    parts = []
    if lift == "limits":
        parts.append(statement("session", "lift_limits", scope=scope))
        if connection.info.server_version >= POSTGRES_WITH_TRANSACTION_TIMEOUT:
            parts.append(statement("session", "lift_transaction_limit", scope=scope))
    elif lift == "idle_limits":
        parts.append(statement("session", "lift_idle_limits", scope=scope))
    parts.append(statement("session", "prepare", scope=scope))
    if own:
        parts.append(statement("session", "become_owner", is_local=local))
    parts.append(statement("session", "find_extension", is_local=local))
    with connection.cursor(row_factory=class_row(Extension)) as cursor:
        cursor.execute(sql.SQL("\n").join(parts))  # one message: the first of them lifts the limits of the others
        while cursor.nextset():
            pass
        return cursor.fetchone()


def require_extension(connection: Connection, found: Extension, place: str) -> None:
    """Raise UserError if pgvector is too old, or the session's role may not use its schema."""
    if _numbers(found.version) < PGVECTOR:
        available = _available(connection)
        if available and _numbers(available) >= PGVECTOR:
            remedy = f"the server has {available}: let an administrator run ALTER EXTENSION vector UPDATE there"
        else:
            remedy = (
                f"update pgvector on the server, which has {available or 'none'}, then ALTER EXTENSION vector UPDATE"
            )
        raise UserError(
            f"{place} has pgvector {found.version}, but {'.'.join(map(str, PGVECTOR))} or newer is needed, since older "
            f"ones overrun a buffer in parallel index builds and corrupt indexes: {remedy}"
        )
    if not found.usable:
        schema, role = (sql.Identifier(name).as_string(connection) for name in (found.schema, found.role))
        raise UserError(
            f"{place} keeps pgvector in schema {schema}, which its role may not use: "
            f"let an administrator run GRANT USAGE ON SCHEMA {schema} TO {role}"
        )


def prepare_migration(connection: Connection, place: str) -> None:
    """Prepare and lock a connection's transaction for migrations. Raises UserError if they cannot run.

    Afterwards the schemas exist, and pgvector exists and is loaded.
    """
    home: str | None = fetch_value(connection, statement("session", "find_home"))
    found = prepare(connection, local=True, own=False)
    connection.execute(statement("session", "lock_migrations"))
    missing = _missing_schemas(connection, place)
    if found is None:
        _make_extension(connection, home, place)
    for schema in missing:
        connection.execute(statement("session", "make_schema", schema=schema))
    found = prepare(connection, local=True)
    assert found is not None
    require_extension(connection, found, place)
    connection.execute(statement("session", "load_extension"))


def _missing_schemas(connection: Connection, place: str) -> list[str]:
    """The missing schemas. Raises UserError if the role may not create them, or if the database is read-only."""
    rights = fetch_one(connection, _Rights, statement("session", "find_rights"))
    if rights.read_only:
        raise UserError(f"{place} is read-only: migrate the primary, by a role without default_transaction_read_only")
    if rights.missing and not rights.may_create:
        role, missing = sql.Identifier(rights.role).as_string(connection), " and ".join(rights.missing)
        raise UserError(
            f"{place} lacks schema {missing}, and its role may not create it: let an administrator run "
            f"GRANT CREATE ON DATABASE … TO {role}, or CREATE SCHEMA … AUTHORIZATION {role}"
        )
    return rights.missing


def _make_extension(connection: Connection, home: str | None, place: str) -> None:
    """Create the extension pgvector in a schema. Raises UserError if the server lacks it, or the role may not."""
    if _available(connection) is None:
        raise UserError(f"{place} is on a server without pgvector: install it there, or have the provider allow it")
    if home is None:
        raise UserError(
            f"{place} has no schema for pgvector: run CREATE SCHEMA extensions, "
            "then CREATE EXTENSION vector SCHEMA extensions"
        )
    try:
        with connection.transaction():
            connection.execute(statement("session", "make_extension", schema=home))
    except psycopg.errors.InsufficientPrivilege:
        raise UserError(
            f"{place} has no pgvector yet, and its role may not create the extension: let an administrator run "
            "CREATE EXTENSION vector there, then migrate again"
        ) from None


def _available(connection: Connection) -> str | None:
    row = connection.execute(statement("session", "find_available")).fetchone()
    return row["version"] if row else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
