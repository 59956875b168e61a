"""Whatever PostgreSQL can raise becomes one line, and what passes by itself is told apart."""

import psycopg
import pytest
from psycopg import errors

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.store.failures import Locked, refusal_of, told_in_one_line

PLACE = "database 'images' on db.example.com:5432"
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, psycopg.Error)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_becomes_one_line(kind):
    told = refusal_of(kind("it went wrong:\n  at this place\n"), PLACE)
    assert "\n" not in str(told)
    assert "it went wrong: at this place" in str(told)
    assert PLACE in str(told) or kind is errors.RaiseException


@pytest.mark.parametrize(
    "kind",
    [
        errors.AdminShutdown,
        errors.CrashShutdown,
        errors.CannotConnectNow,
        errors.TooManyConnections,
        errors.DiskFull,
        errors.OutOfMemory,
        errors.ConnectionFailure,
        errors.DeadlockDetected,
        errors.SerializationFailure,
        errors.IdleInTransactionSessionTimeout,
        errors.IdleSessionTimeout,
        errors.TransactionTimeout,
        errors.IoError,
        psycopg.OperationalError,
        psycopg.InterfaceError,
    ],
)
def test_what_passes_by_itself_is_worth_another_try(kind):
    assert isinstance(refusal_of(kind("no"), PLACE), Unavailable)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (errors.QueryCanceled, "statement_timeout"),
        (errors.IdleInTransactionSessionTimeout, "idle_in_transaction_session_timeout"),
        (errors.IdleSessionTimeout, "idle_session_timeout"),
        (errors.TransactionTimeout, "transaction_timeout"),
        (errors.LockNotAvailable, "lock_timeout"),
        (errors.ReadOnlySqlTransaction, "default_transaction_read_only"),
        (errors.InsufficientPrivilege, "docs/databases.md"),
        (errors.UndefinedTable, "SQLSTATE 42P01"),
    ],
)
def test_the_line_names_the_setting_or_the_right(kind, names):
    assert names in str(refusal_of(kind("no"), PLACE))


def test_a_lock_is_told_apart_and_other_errors_pass():
    with pytest.raises(Locked), told_in_one_line(PLACE):
        raise errors.LockNotAvailable("no")
    with pytest.raises(UserError, match=r"^mine$"), told_in_one_line(PLACE):
        raise UserError("mine")
