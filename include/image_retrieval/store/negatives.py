"""Images that look like another one to a model, and are not: hard negatives."""

from collections.abc import Sequence

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

FIRST, LAST = 10, 100  # ranks: nearer ones may show the same


def read_hard_negatives(connection: Connection, space: VectorSpace, image_ids: Sequence[str]) -> dict[str, list[str]]:
    """The hard negatives of images, the nearest first, by image id; an image without any, or without a vector, is left
    out."""
    query = statement("negatives", "read_hard_negatives", vectors=space.vector_table)
    names = {"collection": space.collection, "model": space.model, "image_ids": list(image_ids)}
    rows = connection.execute(query, {**names, "first": FIRST, "last": LAST})
    return {row["image_id"]: row["others"] for row in rows}
