"""Searching from Python: the same SQL functions that people call."""

from typing import Any

import psycopg
from pgvector import HalfVector

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


def search(connection: Connection, collection: str, query: Any, k: int) -> list[dict[str, Any]]:
    """The k images most similar to a vector (dimensions,), best first. Raises UserError."""
    return _results(connection, "search", {"collection": collection, "query": HalfVector(query), "k": k})


def similar_to(connection: Connection, collection: str, image_id: str, k: int) -> list[dict[str, Any]]:
    """The k images most similar to one of the collection, best first, itself left out. Raises UserError."""
    return _results(connection, "similar_to", {"collection": collection, "image_id": image_id, "k": k})


def _results(connection: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return connection.execute(statement("search", name), parameters).fetchall()
    except psycopg.errors.RaiseException as error:
        hint = error.diag.message_hint
        raise UserError(f"{error.diag.message_primary}{f' ({hint})' if hint else ''}") from None
