"""Rejected objects: list, count, queue again."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypedDict, cast

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Rejected:
    """Which rejected objects of a collection are meant; what is None does not matter."""

    collection: str
    reason: str | None = None
    uri: str | None = None
    final: bool | None = None


class Rejection(TypedDict):
    """An object that was rejected: columns of `retrieval.rejected`, whose comments explain them."""

    uri: str
    stage: str
    reason: str
    detail: str
    attempts: int
    final: bool
    run_id: str
    updated_at: datetime


class ReasonCount(TypedDict):
    """How many objects were rejected for a reason: those left alone, and those that the next run tries again."""

    reason: str
    final: int
    not_final: int


def list_rejected(connection: Connection, which: Rejected, limit: int | None = None) -> list[Rejection]:
    """The first `limit` of these objects in order of their URI, or all."""
    rows = connection.execute(statement("rejections", "list_rejected"), {**asdict(which), "limit": limit}).fetchall()
    return cast(list[Rejection], rows)


def count_by_reason(connection: Connection, which: Rejected) -> list[ReasonCount]:
    """How many of these objects were rejected for each reason, the most frequent first."""
    rows = connection.execute(statement("rejections", "count_by_reason"), asdict(which)).fetchall()
    return cast(list[ReasonCount], rows)


def requeue(connection: Connection, which: Rejected) -> int:
    """Let the next run try these objects again, attempts counted afresh. Returns how many they are."""
    return connection.execute(statement("rejections", "requeue"), asdict(which)).rowcount
