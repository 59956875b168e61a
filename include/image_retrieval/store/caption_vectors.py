"""Vectors of the captions that a collection shows, in a vector space of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import keep_removals_out
from image_retrieval.store.rows import fetch_all, fetch_value
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class CaptionSpaces:
    """The space of a collection's captions, and that of the images that its view shows: only these are searchable."""

    captions: VectorSpace
    images: VectorSpace

    @property
    def vectors(self) -> str:
        """The table of the captions' vectors."""
        return self.captions.vector_table

    @property
    def matching(self) -> str:
        """The view of the collection's images with the captions that are shown."""
        return self.captions.matching

    @property
    def shown(self) -> str:
        """The table of the vectors of searchable images."""
        return self.images.vector_table


@dataclass(frozen=True, slots=True)
class DueCaption:
    """A caption without a vector, as the view shows it, and its digest."""

    id: int
    text: str
    digest: str


def try_lock(connection: Connection, collection: str) -> bool:
    """Take the right to write a collection's caption vectors until the transaction ends, if nobody has it."""
    return bool(fetch_value(connection, statement("caption_vectors", "try_lock"), {"collection": collection}))


def describe_vectors(connection: Connection, space: VectorSpace) -> None:
    """Let the comments of a new vector table say that it has vectors of captions."""
    connection.execute(statement("caption_vectors", "describe_vectors", vectors=space.vector_table))


def remove_outdated(connection: Connection, spaces: CaptionSpaces) -> int:
    """Remove the vectors of captions that are no longer shown, or whose image is not. Returns their number."""
    query = statement(
        "caption_vectors",
        "remove_outdated",
        vectors=spaces.vectors,
        matching=spaces.matching,
        shown=spaces.shown,
    )
    return connection.execute(query).rowcount


def count_due(connection: Connection, spaces: CaptionSpaces) -> int:
    """The number of captions without a vector."""
    query = statement(
        "caption_vectors", "count_due", vectors=spaces.vectors, matching=spaces.matching, shown=spaces.shown
    )
    return int(fetch_value(connection, query))


def read_due(connection: Connection, spaces: CaptionSpaces, after: int, count: int) -> list[DueCaption]:
    """The first captions without a vector, by their images' ids, beyond `after`."""
    query = statement(
        "caption_vectors", "read_due", vectors=spaces.vectors, matching=spaces.matching, shown=spaces.shown
    )
    return fetch_all(connection, DueCaption, query, {"after": after, "count": count})


def write_vectors(
    connection: Connection, spaces: CaptionSpaces, captions: Sequence[DueCaption], vectors: NDArray[np.float32]
) -> int:
    """Store the vectors (captions, dimensions), but not of captions that have changed. Returns how many are new."""
    keep_removals_out(connection, spaces.captions.collection)
    ids = [caption.id for caption in captions]
    connection.execute(statement("caption_vectors", "lock_images"), {"ids": ids})
    given = {
        "ids": ids,
        "digests": [caption.digest for caption in captions],
        "vectors": [HalfVector(vector).to_text() for vector in vectors],
    }
    query = statement("caption_vectors", "write_vectors", vectors=spaces.vectors, matching=spaces.matching)
    return connection.execute(query, given).rowcount


def find_text_model(connection: Connection, collection: str) -> str | None:
    """The model of the caption vectors that searches compare; the row is locked until the transaction ends."""
    found: str | None = fetch_value(
        connection, statement("caption_vectors", "find_text_model"), {"collection": collection}
    )
    return found


def show(connection: Connection, space: VectorSpace, former: str | None) -> None:
    """Let searches compare these vectors instead of those of the `former` model, which are kept for a while."""
    names = {"collection": space.collection, "model": space.model}
    connection.execute(statement("caption_vectors", "show"), names)
    if former is not None and former != space.model:
        change = {"collection": space.collection, "from_model": former, "to_model": space.model}
        connection.execute(statement("caption_vectors", "record_switch"), change)
