"""Searches from Python, through the same SQL functions that people call."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.filter_uses import note_filter
from image_retrieval.store.loaders import ShownFacts, shown_facts
from image_retrieval.store.rows import fetch_all
from image_retrieval.store.sql import statement
from image_retrieval.values import printable

Filter = dict[str, Any]


class Found(ShownFacts):
    """An image that a search found, as `images.search` shows it."""

    image_id: str
    similarity: float
    image_path: str
    resampled_image_path: str | None
    group_id: str | None
    intra_id: str | None
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class FacetCount:
    """How many images have a value."""

    facet: str
    value: str
    images: int


def search(
    connection: Connection,
    collection: str,
    query: Any,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
    model: str | None = None,
) -> list[Found]:
    """The k images most similar to a vector (dimensions,), best first; always k if that many match.

    docs/sql.md describes filters; `grouped` keeps the best image of each group_id. `model` is the one that made the
    vector, so a switch meanwhile does no harm. Raises UserError.
    """
    more = {"filter": Jsonb(filter or {}), "min_similarity": min_similarity, "grouped": grouped, "model": model}
    parameters = {"collection": collection, "query": HalfVector(query), "k": k, **more}
    return noted(connection, "search", parameters, filter)


def similar_to(
    connection: Connection,
    collection: str,
    image_id: str,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
) -> list[Found]:
    """The k images most similar to one of the collection, best first, without that image; else as `search`."""
    more = {"filter": Jsonb(filter or {}), "min_similarity": min_similarity, "grouped": grouped}
    parameters = {"collection": collection, "image_id": image_id, "k": k, **more}
    return noted(connection, "similar_to", parameters, filter)


def noted(connection: Connection, name: str, parameters: Mapping[str, object], filter: Filter | None) -> list[Found]:
    """The rows of a search by its name; what it filtered by is noted. Raises UserError."""
    started = time.perf_counter()
    found = _results(connection, name, parameters)
    note_filter(connection, str(parameters["collection"]), filter, time.perf_counter() - started)
    return found


def count_facets(
    connection: Connection, collection: str, filter: Filter | None = None, most: int = 20
) -> list[FacetCount]:
    """How many images have each format, orientation, colour, group_id and year of capture; `most` values of each.

    `filter` as in `search`. Raises UserError.
    """
    wanted = {"collection": collection, "filter": Jsonb(filter or {}), "most": most}
    with refused():
        return fetch_all(connection, FacetCount, statement("search", "count_facets"), wanted)


def matching_ids(connection: Connection, collection: str, filter: Filter, after: str | None, limit: int) -> list[str]:
    """The first ids after one, in their order, of the images that match a filter as in `search`. Raises UserError."""
    wanted = {"collection": collection, "filter": Jsonb(filter), "after": after, "limit": limit}
    with refused():
        return [row["image_id"] for row in connection.execute(statement("search", "matching_ids"), wanted)]


def search_words(
    connection: Connection,
    collection: str,
    words: str,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
) -> list[Found]:
    """The k images whose captions fit words best, best first; else as `search`.

    The words are in the language of web searches; a similarity, 0 to below 1, is the weighted share of them by BM25.
    Raises UserError.
    """
    more = {"filter": Jsonb(filter or {}), "min_similarity": min_similarity, "grouped": grouped}
    return _results(connection, "search_words", {"collection": collection, "words": words, "k": k, **more})


def _results(connection: Connection, name: str, parameters: Mapping[str, object]) -> list[Found]:
    with refused():
        rows = connection.execute(statement("search", name), parameters)
        return [cast(Found, {**row, **shown_facts(row["attributes"], row["caption"])}) for row in rows]


@contextmanager
def refused() -> Iterator[None]:
    """Raise what the SQL functions refuse as UserError."""
    try:
        yield
    except psycopg.errors.RaiseException as error:
        hint = error.diag.message_hint
        raise UserError(printable(f"{error.diag.message_primary}{f' ({hint})' if hint else ''}")) from None
    except (psycopg.errors.StatementTooComplex, psycopg.errors.UntranslatableCharacter) as error:
        raise UserError(f"filter cannot be used: {error.diag.message_primary}") from None
