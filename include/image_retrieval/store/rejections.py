"""Rejected objects: lists, counts and requeues them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TypedDict, cast

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class Rejected:
    """Selects rejected objects of a collection; fields that are None do not restrict it."""

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
    """The numbers of objects rejected for a reason: final ones, and those that the next run tries again."""

    reason: str
    final: int
    not_final: int


def list_rejected(connection: Connection, which: Rejected, limit: int | None = None) -> list[Rejection]:
    """The first `limit` of these objects in order of their URI, or all."""
    rows = connection.execute(statement("rejections", "list_rejected"), {**asdict(which), "limit": limit}).fetchall()
    return cast(list[Rejection], rows)


def count_by_reason(connection: Connection, which: Rejected) -> list[ReasonCount]:
    """The number of these objects for each reason, the most frequent first."""
    rows = connection.execute(statement("rejections", "count_by_reason"), asdict(which)).fetchall()
    return cast(list[ReasonCount], rows)


def requeue(connection: Connection, which: Rejected) -> int:
    """Let the next run try these objects again, with their attempts reset. Returns their number."""
    return connection.execute(statement("rejections", "requeue"), asdict(which)).rowcount
