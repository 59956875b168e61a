"""Duplicates: images of a collection that show the same, and people's verdicts on them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, cast

import psycopg

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.imaging.fingerprints import ALIKE_BITS
from image_retrieval.settings import Settings
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.models import find_shown
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_value
from image_retrieval.store.sql import statement

PICTURE_SIMILARITY = 0.9  # least similarity of the vectors: flat pictures have similar hashes, whatever they show
NEIGHBOURS = 21  # with which an image is compared, including itself
BATCH = 200

Tier = Literal["picture", "scene"]
Verdict = Literal["duplicate", "different"]


class Pair(TypedDict):
    """Two images that show the same, and their verdict: columns of `images.duplicates`."""

    a: str
    b: str
    similarity: float
    bits: int | None
    verdict: Verdict | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class _TierCount:
    tier: str
    pairs: int


def find_duplicates(collection: Collection, settings: Settings) -> dict[str, int]:
    """Compare each new or changed image with its nearest neighbours, and record the pairs that show the same.

    Returns the numbers of images `compared`, and of pairs of each tier. A kill loses only the current batch.
    """
    with connect(settings) as connection:
        shown = find_shown(connection, collection.name)
    if shown is None:
        return {"compared": 0, "picture": 0, "scene": 0}
    vectors = VectorSpace(collection.name, shown.model).vector_table
    row: dict[str, Any] = {
        "collection": collection.name,
        "model": shown.model,
        "scene_similarity": collection.scene_similarity,
        "picture_similarity": min(PICTURE_SIMILARITY, collection.scene_similarity),
        "bits": ALIKE_BITS,
        "neighbours": NEIGHBOURS,
        "limit": BATCH,
        "after": 0,
    }
    with connect(settings) as connection:
        connection.execute(statement("duplicates", "lock_duplicates"), row)
        connection.execute(statement("duplicates", "forget_outdated", vectors=vectors), row)
    compared = 0
    while True:
        with connect(settings) as connection:
            connection.execute(statement("duplicates", "lock_duplicates"), row)
            done = fetch_column(connection, statement("duplicates", "compare", vectors=vectors), row)
        if not done:
            break
        compared += len(done)
        row["after"] = max(done)
    with connect(settings) as connection:
        pairs = fetch_all(connection, _TierCount, statement("duplicates", "count_pairs"), row)
    return {"compared": compared, "picture": 0, "scene": 0, **{found.tier: found.pairs for found in pairs}}


def list_pairs(
    connection: Connection, collection: str, tier: Tier, *, decided: bool | None = None, limit: int, offset: int = 0
) -> list[Pair]:
    """Pairs of a tier, the most alike first; `decided`: only those with, or without, a verdict."""
    wanted = {"collection": collection, "tier": tier, "decided": decided, "limit": limit, "offset": offset}
    return cast(list[Pair], connection.execute(statement("duplicates", "list_pairs"), wanted).fetchall())


def count_waiting(connection: Connection, collection: str, model: str) -> int:
    """The number of images whose present vectors under a model have not been compared yet."""
    query = statement("duplicates", "count_waiting", vectors=VectorSpace(collection, model).vector_table)
    return int(fetch_value(connection, query, {"collection": collection, "model": model}))


def set_verdict(
    connection: Connection, collection: str, a: str, b: str, verdict: Verdict | None, decided_by: str
) -> None:
    """Set or remove the verdict on two images. Raises UserError if they are not two images of the collection."""
    row = {"collection": collection, "a": a, "b": b, "verdict": verdict, "decided_by": decided_by}
    try:
        connection.execute(statement("duplicates", "set_verdict"), row)
    except psycopg.errors.RaiseException as error:
        raise UserError(str(error.diag.message_primary)) from None
