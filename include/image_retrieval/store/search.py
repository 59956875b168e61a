"""Searches from Python, through the same SQL functions that people call."""

from typing import Any

import psycopg
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.loaders import shown_facts
from image_retrieval.store.sql import statement
from image_retrieval.values import printable

Filter = dict[str, Any]


def search(
    connection: Connection,
    collection: str,
    query: Any,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
    model: str | None = None,
) -> list[dict[str, Any]]:
    """The k images most similar to a vector (dimensions,), best first; always k if that many match.

    docs/sql.md describes filters; `grouped` keeps the best image of each group_id. `model` is the one that made the
    vector, so a switch meanwhile does no harm. Raises UserError.
    """
    more = {"filter": Jsonb(filter or {}), "min_similarity": min_similarity, "grouped": grouped, "model": model}
    return _results(connection, "search", {"collection": collection, "query": HalfVector(query), "k": k, **more})


def similar_to(
    connection: Connection,
    collection: str,
    image_id: str,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
) -> list[dict[str, Any]]:
    """The k images most similar to one of the collection, best first, without that image; else as `search`."""
    more = {"filter": Jsonb(filter or {}), "min_similarity": min_similarity, "grouped": grouped}
    return _results(connection, "similar_to", {"collection": collection, "image_id": image_id, "k": k, **more})


def _results(connection: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return [shown_facts(row) for row in connection.execute(statement("search", name), parameters)]
    except psycopg.errors.RaiseException as error:
        hint = error.diag.message_hint
        raise UserError(printable(f"{error.diag.message_primary}{f' ({hint})' if hint else ''}")) from None
    except (psycopg.errors.StatementTooComplex, psycopg.errors.UntranslatableCharacter) as error:
        raise UserError(f"filter cannot be used: {error.diag.message_primary}") from None
