"""Connections to PostgreSQL."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib.resources import files
from weakref import WeakKeyDictionary

import psycopg
from pgvector.psycopg import register_vector
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.store.connection_string import VARIABLE, connection_string, failure
from image_retrieval.store.connection_string import psql_environment as psql_environment
from image_retrieval.store.connection_string import where as where
from image_retrieval.store.failures import DatabaseUnavailable, told_in_one_line
from image_retrieval.store.loaders import read_anything
from image_retrieval.store.preparing import Lift, is_pooled, notice_pooler, prepare, require_extension, require_server
from image_retrieval.store.rows import Connection as Connection
from image_retrieval.store.sql import statement

Pool = ConnectionPool[Connection]
STEP_SECONDS = 5
LONGEST_SECONDS = 2_000_000.0  # the longest limit that PostgreSQL can hold in milliseconds
_limits: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()  # the last limit that was set in each session


class Pooled(UserError):
    """A pooler is in between, so nothing can outlive a transaction."""


@contextmanager
def connect(
    settings: Settings,
    *,
    keep_limits: bool = False,
    snapshot: bool = False,
) -> Iterator[Connection]:
    """A connection with one transaction: committed if the block succeeds, rolled back if it fails.

    The time limits of the role and the server are lifted, unless `keep_limits` is set, as it is for queries of people.
    Raises UserError for every error of the database, also within the block, and Unavailable if the same may succeed
    later. Also raises UserError if server, extension or schema are too old. `snapshot`: the transaction sees the tables
    as they were at its first statement.
    """
    place = where(settings)
    with told_in_one_line(place), _connected(settings) as connection:
        require_server(connection, place)
        connection.autocommit = True  # so that session settings survive a rolled-back transaction
        notice_pooler(connection)
        level = psycopg.IsolationLevel
        connection.isolation_level = level.REPEATABLE_READ if snapshot else level.READ_COMMITTED
        lift: Lift = None if keep_limits else "limits"
        if not is_pooled(connection):
            _make_ready(connection, settings, lift=lift)
        connection.autocommit = False
        if is_pooled(connection):
            _make_ready(connection, settings, lift=lift)
        yield connection


@contextmanager
def session(settings: Settings) -> Iterator[Connection]:
    """A connection whose statements commit one by one, for work outside transactions. Raises as `connect`.

    Behind a pooler, no setting and no lock outlives a statement: see `is_pooled`.
    """
    with connect(settings) as connection:
        connection.commit()
        connection.autocommit = True
        yield connection


def connection_pool(settings: Settings, size: int, lock_seconds: float | None = None) -> Pool:
    """An open pool of up to `size` connections like those of `session`: a search alone needs no transaction around it.

    The role's time limits apply, except those on idle sessions. A statement waits at most `lock_seconds` for a lock.
    Connections are opened when needed; taking one waits up to five seconds, then raises psycopg.OperationalError.
    """

    def configure(connection: Connection) -> None:
        require_server(connection, where(settings))
        notice_pooler(connection)
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
        with connection.transaction() if is_pooled(connection) else nullcontext():
            _make_ready(connection, settings, lift="idle_limits")
        if lock_seconds is not None and not is_pooled(connection):
            _limit(connection, "lock_timeout", lock_seconds, local=False)

    return ConnectionPool(
        connection_string(settings, connect_timeout="5"),
        kwargs={"autocommit": True, "row_factory": dict_row, "client_encoding": "UTF8"},
        configure=configure,
        min_size=1,
        max_size=size,
        timeout=5,
        open=True,
    )


@contextmanager
def live_connection(pool: Pool) -> Iterator[Connection]:
    """A connection of a pool; one that the server has closed since its last use is replaced. Raises as the pool.

    The pool's own check waits for seconds if several are closed, as after a restart of the server.
    """
    tries = (_checked(pool) for _ in range(pool.max_size))
    connection = next(filter(None, tries), None) or pool.getconn()
    try:
        with connection:
            yield connection
    finally:
        pool.putconn(connection)


def _checked(pool: Pool) -> Connection | None:
    """A connection of a pool, or None if it was closed; the pool then replaces it."""
    connection, is_open = pool.getconn(), False
    try:
        pool.check_connection(connection)
        is_open = True
    except psycopg.OperationalError:
        return None
    finally:  # also after an interrupt
        if not is_open:
            pool.putconn(connection)
    return connection


@contextmanager
def transaction(
    connection: Connection, seconds: float | None = None, lock_seconds: float | None = None
) -> Iterator[None]:
    """One transaction on a pool's connection, committed if the block succeeds.

    Behind a pooler, each of its statements takes at most `seconds`, and waits at most `lock_seconds` for a lock.
    Otherwise the session has these limits: see `limit_statements` and `connection_pool`.
    """
    with connection.transaction():
        if is_pooled(connection):
            prepare(connection, local=True, lift="idle_limits")
            for name, limit in (("statement_timeout", seconds), ("lock_timeout", lock_seconds)):
                if limit is not None:
                    _limit(connection, name, limit, local=True)
        yield


def limit_statements(connection: Connection, seconds: float) -> None:
    """Limit the time of each statement of this session, rounded up to whole steps; a lower limit of the role stays.

    Sends a statement only if the limit changes. Behind a pooler, `transaction` sets the limit.
    """
    limit = STEP_SECONDS * math.ceil(seconds / STEP_SECONDS)
    if not is_pooled(connection) and _limits.get(connection) != limit:
        _limit(connection, "statement_timeout", limit, local=False)
        _limits[connection] = limit


def _limit(connection: Connection, name: str, seconds: float, *, local: bool) -> None:
    """Set a time limit of the session or transaction; a lower limit of the role stays."""
    row = {"name": name, "ms": max(1, math.ceil(1000 * min(seconds, LONGEST_SECONDS))), "is_local": local}
    connection.execute(statement("session", "limit"), row)


@contextmanager
def notifications(settings: Settings) -> Iterator[Connection]:
    """A session that can LISTEN. Raises as `connect`, and Pooled if a pooler would withhold notifications."""
    with session(settings) as connection:
        if is_pooled(connection):
            raise Pooled(
                f"{where(settings)} is behind a pooler, which forwards no notifications: CALL images.embed_text(…) "
                "needs a service whose IMAGE_RETRIEVAL_DATABASE_URL names the server itself"
            )
        yield connection


def is_read_only(connection: Connection) -> bool:
    """Whether the database refuses writes, as far as the server reports it: a standby, or a read-only role."""
    reported = (connection.info.parameter_status(name) for name in ("in_hot_standby", "default_transaction_read_only"))
    return "on" in reported


def _make_ready(connection: Connection, settings: Settings, *, lift: Lift) -> None:
    """Prepare a session, or behind a pooler a transaction. Raises UserError if the database does not meet the needs."""
    place = where(settings)
    extension = prepare(connection, local=is_pooled(connection), lift=lift)
    _require_schema(connection, settings)
    if extension is None:
        raise UserError(f"{place} has lost pgvector: run CREATE EXTENSION vector, and restore the vectors")
    require_extension(connection, extension, place)
    register_vector(connection)
    read_anything(connection)


def _require_schema(connection: Connection, settings: Settings) -> None:
    found = _schema_version(connection)
    if found is None:
        raise UserError(f"{where(settings)} has no tables of image-retrieval yet: run `image-retrieval migrate`")
    if found < newest_version():
        raise UserError(
            f"{where(settings)} has version {found} of the schema, but {newest_version()} is needed: "
            "run `image-retrieval migrate`"
        )


@cache
def newest_version() -> str:
    """The newest version of the schema, four digits."""
    versions = files("image_retrieval.store") / "migrations" / "versions"
    return max(entry.name[:4] for entry in versions.iterdir() if entry.name.endswith(".py"))


def _schema_version(connection: Connection) -> str | None:
    try:
        row = connection.execute(statement("session", "read_version")).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row["version"]) if row else None


def require_reachable(settings: Settings) -> None:
    """Raise UserError if the database accepts no connection."""
    _connected(settings).close()


def _connected(settings: Settings) -> Connection:
    """An open connection. The driver's errors may contain the password, so they are not chained to the errors here."""
    target = connection_string(settings)
    try:
        return psycopg.connect(target, row_factory=dict_row)
    except psycopg.Error as error:
        reason = failure(error, settings)
        kind = DatabaseUnavailable if isinstance(error, psycopg.OperationalError) else UserError
    raise kind(
        f"{where(settings)} cannot be reached: {reason}; is it running? `make up` starts the embedded one; "
        f"check {VARIABLE} for another"
    )
