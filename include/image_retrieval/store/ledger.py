"""The ledger of rejected objects: list, count, queue again."""

from dataclasses import asdict, dataclass
from typing import Any

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Rejected:
    """Which rejected objects of a collection are meant; what is None does not matter."""

    collection: str
    reason: str | None = None
    uri: str | None = None
    final: bool | None = None


def list_rejected(connection: Connection, which: Rejected, limit: int | None = None) -> list[dict[str, Any]]:
    """The first `limit` of these objects in order of their URI, or all."""
    return connection.execute(statement("ledger", "list_rejected"), {**asdict(which), "limit": limit}).fetchall()


def count_by_reason(connection: Connection, which: Rejected) -> list[dict[str, Any]]:
    """Per reason how many of these objects are `final`, and `not_final`; the most frequent first."""
    return connection.execute(statement("ledger", "count_by_reason"), asdict(which)).fetchall()


def requeue(connection: Connection, which: Rejected) -> int:
    """Let the next run try these objects again, attempts counted afresh. Returns how many they are."""
    return connection.execute(statement("ledger", "requeue"), asdict(which)).rowcount
