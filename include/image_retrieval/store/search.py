"""Searching from Python: the same SQL functions that people call."""

from typing import Any

import psycopg
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

GROUPED_FROM = 1000  # so many images are looked at for the best of each group


def search(
    connection: Connection,
    collection: str,
    query: Any,
    k: int,
    filter: dict[str, Any] | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
) -> list[dict[str, Any]]:
    """The k images most similar to a vector (dimensions,), best first. Raises UserError.

    `filter` is that of images.search; no image is less similar than `min_similarity`; `grouped`:
    the best of each group.
    """
    row = {"collection": collection, "query": HalfVector(query), "k": GROUPED_FROM if grouped else k}
    found = _results(connection, "search", row | {"filter": Jsonb(filter or {}), "min_similarity": min_similarity})
    return _best_of_groups(found)[:k] if grouped else found


def _best_of_groups(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first image of each group, and all that are in none."""
    first: dict[Any, dict[str, Any]] = {}
    for row in found:
        first.setdefault(row["image_id"] if row["group_id"] is None else (row["group_id"],), row)
    return list(first.values())


def similar_to(connection: Connection, collection: str, image_id: str, k: int) -> list[dict[str, Any]]:
    """The k images most similar to one of the collection, best first, itself left out. Raises UserError."""
    return _results(connection, "similar_to", {"collection": collection, "image_id": image_id, "k": k})


def _results(connection: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return connection.execute(statement("search", name), parameters).fetchall()
    except psycopg.errors.RaiseException as error:
        hint = error.diag.message_hint
        raise UserError(f"{error.diag.message_primary}{f' ({hint})' if hint else ''}") from None
