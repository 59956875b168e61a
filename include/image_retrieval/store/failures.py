"""PostgreSQL's errors in one line: the cause, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import psycopg
from psycopg import errors

from image_retrieval.errors import Unavailable, UserError

RIGHTS = "docs/databases.md lists the rights that each role needs"
LIMITS = {  # by SQLSTATE: the setting that ended a statement, a transaction or a session
    errors.IdleInTransactionSessionTimeout.sqlstate: "idle_in_transaction_session_timeout",
    errors.TransactionTimeout.sqlstate: "transaction_timeout",
    "57P05": "idle_session_timeout",
}
PASSING = ("08", "53", "57P", "58", "40")  # connections, resources, shutdown and recovery, the machine, conflicts


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or not now. The text names the database, so it is for operators only."""


DatabaseError = psycopg.Error  # every error of the database


def kind_of(error: psycopg.Error) -> Literal["value", "right", "locked", "unavailable"] | None:
    """The cause of an error: a value, a right, a lock, or the database; None for a fault of this library."""
    match error:
        case psycopg.DataError():
            return "value"
        case errors.InsufficientPrivilege() | errors.ReadOnlySqlTransaction():
            return "right"
        case errors.LockNotAvailable():
            return "locked"
        case psycopg.OperationalError() | errors.TransactionTimeout() | errors.IdleInTransactionSessionTimeout():
            return "unavailable"
        case _:
            return None


def message_of(error: psycopg.Error) -> str:
    """The server's message, on one line."""
    return error.diag.message_primary or str(error).partition("\n")[0]


class Locked(DatabaseUnavailable):
    """A lock was not granted within `lock_timeout`."""


@contextmanager
def told_in_one_line(place: str) -> Iterator[None]:
    """Turn errors of psycopg into a UserError that begins with `place`, the database in words."""
    try:
        yield
    except psycopg.Error as error:
        raise refusal_of(error, place) from error


def refusal_of(error: psycopg.Error, place: str) -> UserError:
    """The UserError for an error of the database; DatabaseUnavailable if the same command may succeed later."""
    code, said = error.sqlstate or "", _in_words(error)
    limit = LIMITS.get(code)
    match error:
        case _ if limit:
            return DatabaseUnavailable(f"{place} ended the session after its {limit} ({said}): {_raise_it(limit)}")
        case errors.QueryCanceled():
            return UserError(
                f"{place} cancelled a statement: {said}; if that was its statement_timeout, "
                f"{_raise_it('statement_timeout')}"
            )
        case errors.LockNotAvailable():
            return Locked(f"{place} is busy: {said}; try again later, or {_raise_it('lock_timeout')}")
        case errors.ReadOnlySqlTransaction():
            return UserError(
                f"{place} is read-only ({said}): a standby, or default_transaction_read_only is on; searches and "
                "reports work there, everything else needs the primary"
            )
        case errors.InsufficientPrivilege():
            return UserError(f"{place} denies its role a right: {said}; {RIGHTS}")
        case errors.RaiseException():
            return UserError(said)
        case errors.ConfigurationLimitExceeded() | errors.TooManyConnections():
            return DatabaseUnavailable(
                f"{place} accepts no more connections: {said}; try again later, or raise max_connections"
            )
        case errors.OutOfMemory() if "max_locks_per_transaction" in (error.diag.message_hint or ""):
            return DatabaseUnavailable(f"{place} has no room for more locks: {said}")
        case psycopg.OperationalError() | psycopg.InterfaceError():
            return DatabaseUnavailable(f"{place} failed: {said}; try again later")
        case _ if code.startswith(PASSING):
            return DatabaseUnavailable(f"{place} cannot do this now: {said}; try again later")
        case _:
            return UserError(f"{place} refused a statement: {said}" + (f" (SQLSTATE {code})" if code else ""))


def _in_words(error: psycopg.Error) -> str:
    """The server's message with its hint, on one line."""
    said = error.diag.message_primary or str(error)
    hint = error.diag.message_hint
    line = " ".join(f"{said} ({hint})".split() if hint else said.split())
    return re.sub(r"[.;:]$", "", line)[:300] or type(error).__name__


def _raise_it(setting: str) -> str:
    return f"raise it for the role of IMAGE_RETRIEVAL_DATABASE_URL: ALTER ROLE … SET {setting} = …"
