"""Searches that combine vectors of images with words and vectors of captions, and the weight of each collection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgvector import HalfVector
from psycopg.types.json import Jsonb

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_column, fetch_value
from image_retrieval.store.search import Filter, Found, noted
from image_retrieval.store.sql import statement


class Fused(Found):
    """An image that a hybrid search found, the sides that found it, and the score that each side gives it."""

    found_by: list[str]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a hybrid search asks its sides for.

    `vector`: of shape (dimensions,), `words`: in the language of web searches; either may be None. `direction` is that
    of the vector's calibration, `model` the one that made the vector. `caption`: what captions are compared with, of
    shape (dimensions of text_model,), or None; `text_model` made it. `text_direction` is that of its calibration; None:
    as of the vector.
    """

    vector: Any | None
    words: str | None
    direction: str | None
    model: str
    caption: Any | None = None
    text_model: str | None = None
    text_direction: str | None = None

    def texts(self) -> dict[str, str]:
        """By side, as the SQL functions take them, and what captions are searched by; without the vector of images."""
        texts = {"words": self.words}
        if self.caption is not None:
            caption = HalfVector(self.caption).to_text()
            texts |= {"caption": caption, "text_model": self.text_model, "text_direction": self.text_direction}
        return {side: text for side, text in texts.items() if text is not None}


def search_hybrid(
    connection: Connection,
    collection: str,
    asked: Asked,
    k: int,
    filter: Filter | None = None,
    min_similarity: float | None = None,
    grouped: bool = False,
    weight: float | None = None,
) -> list[Fused]:
    """The k images that fit best by all sides, best first; with a vector, always k if that many match the filter.

    `weight`, 0 to 1, is that of the vector; None: the collection's own. Raises UserError.
    """
    parameters: Mapping[str, object] = {
        "collection": collection,
        "query": None if asked.vector is None else HalfVector(asked.vector),
        "asked": Jsonb(asked.texts()),
        "k": k,
        "filter": Jsonb(filter or {}),
        "min_similarity": min_similarity,
        "grouped": grouped,
        "direction": asked.direction,
        "weight": weight,
        "model": asked.model,
    }
    return noted(connection, "search_hybrid", parameters, filter)  # type: ignore[return-value]


def find_weight(connection: Connection, collection: str) -> float:
    """The weight of vectors in a collection's hybrid searches. Raises UserError if it has no view."""
    found = fetch_column(connection, statement("search", "find_weight"), {"collection": collection})
    if not found:
        raise UserError(f"collection {collection!r} has no vectors yet: run `image-retrieval run {collection}`")
    return float(found[0])


def keep_weight(connection: Connection, collection: str, weight: float) -> None:
    """Set the weight, 0 to 1, of vectors in a collection's hybrid searches. Raises UserError if it has no view."""
    find_weight(connection, collection)
    fetch_value(connection, statement("search", "keep_weight"), {"collection": collection, "weight": weight})


def known_ids(connection: Connection, collection: str, ids: Sequence[str]) -> set[str]:
    """Those of some image_ids that a collection's view has."""
    return set(fetch_column(connection, statement("search", "known_ids", view=collection), {"ids": list(ids)}))
