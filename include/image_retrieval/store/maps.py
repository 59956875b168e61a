"""Maps of collections: where each image lies, and the clusters."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg.types.json import Jsonb

from image_retrieval.maps.clusters import Cluster
from image_retrieval.maps.packing import Points
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.binary_copy import copy_in
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_one, fetch_optional
from image_retrieval.store.search import Filter, refused
from image_retrieval.store.sql import statement

HEAD = 2  # 16-bit numbers before those of a vector: see binary_copy.py
LETTERS = 500  # of a caption


@dataclass(frozen=True, slots=True)
class Map:
    """The map that a collection has: the model whose vectors it shows, and how many images it was made of."""

    model: str
    images: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """The images that can be searched, those `waiting` for a place, and those that got one after the map was made."""

    vectors: int
    waiting: int
    late: int


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    etag: str
    vector: bytes
    x: float | None
    y: float | None


@dataclass(frozen=True, slots=True)
class _Middle:
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Placeable:
    """Images (n,) with their vectors of length 1 (n, dimensions) and their places (n, 2), NaN where they have none."""

    ids: NDArray[np.int64]
    etags: list[str]
    vectors: NDArray[np.float32]
    places: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placed:
    """Images (n,) with their places (n, 2) and clusters (n,); anchors were laid out themselves."""

    ids: NDArray[np.int64]
    etags: list[str]
    places: NDArray[np.float64]
    clusters: NDArray[np.int64]
    anchors: bool


@dataclass(frozen=True, slots=True)
class ShownCluster:
    """A cluster as `images.map_clusters` shows it."""

    number: int
    level: int
    parent: int | None
    x: float
    y: float
    images: int
    image_id: str | None
    words: list[str]


@dataclass(frozen=True, slots=True)
class ShownImage:
    """What the page shows of an image on the map."""

    id: int
    image_id: str
    group_id: str | None
    width: int | None
    height: int | None
    caption: str | None


@dataclass(frozen=True, slots=True)
class _Arrays:
    ids: bytes
    x: bytes
    y: bytes
    clusters: bytes


def find_map(connection: Connection, collection: str) -> Map | None:
    """The map of a collection, or None."""
    return fetch_optional(connection, Map, statement("maps", "find"), {"collection": collection})


def count_changes(connection: Connection, space: VectorSpace) -> Changes:
    """How much of a space is on the map."""
    connection.execute(statement("maps", "prepare_session"))
    return fetch_one(connection, Changes, statement("maps", "count_changes", vectors=space.vector_table))


def sample_images(connection: Connection, space: VectorSpace, limit: int) -> Placeable:
    """So many images of a space, or all of them, in an order that is random and always the same."""
    connection.execute(statement("maps", "prepare_session"))
    query = statement("maps", "sample", vectors=space.vector_table)
    return _placeable(fetch_all(connection, _Row, query, {"limit": limit}))


def find_anchors(connection: Connection, space: VectorSpace) -> Placeable:
    """The anchors of the map that have not changed."""
    return _placeable(fetch_all(connection, _Row, statement("maps", "anchors", vectors=space.vector_table)))


def next_images(connection: Connection, space: VectorSpace, after: int, limit: int, *, every: bool) -> Placeable:
    """The next images after an id; without `every`, only those that have no place as they are now."""
    given = {"after": after, "limit": limit, "every": every}
    return _placeable(fetch_all(connection, _Row, statement("maps", "others", vectors=space.vector_table), given))


def _placeable(rows: list[_Row]) -> Placeable:
    numbers = len(rows[0].vector) // 2 if rows else HEAD
    halves = np.frombuffer(b"".join(row.vector for row in rows), ">f2").reshape(len(rows), numbers)
    vectors = halves[:, HEAD:].astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    places = [(np.nan if row.x is None else row.x, np.nan if row.y is None else row.y) for row in rows]
    return Placeable(
        np.array([row.id for row in rows], np.int64),
        [row.etag for row in rows],
        vectors,
        np.array(places, np.float64).reshape(-1, 2),
    )


def replace_map(
    connection: Connection, space: VectorSpace, clusters: list[Cluster], ids: NDArray[np.int64], placed: list[Placed]
) -> None:
    """Put a map in place of the former one; does nothing if the space was dropped meanwhile.

    `ids`: the images whose rows the clusters name.
    """
    given = {"collection": space.collection, "model": space.model}
    connection.execute(statement("maps", "lock"), given)
    remove_map(connection, space.collection)
    images = sum(len(part.ids) for part in placed)
    if connection.execute(statement("maps", "keep"), {**given, "images": images}).rowcount == 0:
        return
    rows = [{**asdict(each), **given, "typical": int(ids[each.typical])} for each in clusters]
    with connection.cursor() as cursor:
        cursor.executemany(statement("maps", "keep_cluster"), rows)
    _keep(connection, space, placed, late=False)


def smallest_clusters(connection: Connection, collection: str) -> NDArray[np.float64]:
    """The middles (k, 2) of the smallest clusters of a map, in the order of their numbers."""
    found = fetch_all(connection, _Middle, statement("maps", "smallest"), {"collection": collection})
    return np.array([(each.x, each.y) for each in found], np.float64)


def add_places(connection: Connection, space: VectorSpace, placed: list[Placed], made: Map) -> None:
    """Add places to a map; does nothing if another one has been made meanwhile."""
    connection.execute(statement("maps", "lock"), {"collection": space.collection})
    if find_map(connection, space.collection) == made:
        _keep(connection, space, placed, late=True)


def remove_map(connection: Connection, collection: str) -> None:
    """Remove the map of a collection."""
    connection.execute(statement("maps", "remove"), {"collection": collection})
    connection.execute(statement("maps", "remove_places"), {"collection": collection})


def describe_clusters(connection: Connection, collection: str) -> None:
    """Count the images of each cluster, and find the words that tell it from others."""
    connection.execute(statement("maps", "prepare_session"))
    for name in ("lock", "count_images", "tell_words"):
        connection.execute(statement("maps", name), {"collection": collection})


def _keep(connection: Connection, space: VectorSpace, placed: list[Placed], *, late: bool) -> None:
    connection.execute(statement("maps", "create_placed"))
    for table in _tables(placed):
        copy_in(connection, statement("maps", "copy_placed"), table)
    connection.execute(statement("maps", "keep_places"), {"collection": space.collection, "late": late})


def _tables(placed: list[Placed]) -> Iterator[pa.Table]:
    for part in placed:
        if len(part.ids):
            columns = {
                "image": pa.array(part.ids, pa.int64()),
                "x": pa.array(np.clip(part.places[:, 0], 0, 1), pa.float32()),
                "y": pa.array(np.clip(part.places[:, 1], 0, 1), pa.float32()),
                "cluster": pa.array(part.clusters, pa.int32()),
                "anchor": pa.array([part.anchors] * len(part.ids), pa.bool_()),
                "etag": pa.array(part.etags, pa.string()),
            }
            yield pa.table(columns)


def list_clusters(connection: Connection, collection: str) -> list[ShownCluster]:
    """The clusters of a collection's map, the largest level first, and in each the largest cluster."""
    return fetch_all(connection, ShownCluster, statement("maps", "clusters"), {"collection": collection})


def find_points(connection: Connection, collection: str, filter: Filter | None = None) -> Points:
    """The places of a collection's images, or of those that match a filter. Raises UserError."""
    given: dict[str, Any] = {"collection": collection, "filter": Jsonb(filter or {})}
    with refused():
        found = fetch_one(connection, _Arrays, statement("maps", "points"), given)
    x, y = (np.frombuffer(data, ">f4").astype(np.float32) for data in (found.x, found.y))
    ids, clusters = np.frombuffer(found.ids, ">i8"), np.frombuffer(found.clusters, ">i4")
    return Points(ids.astype(np.int64), x, y, clusters.astype(np.int32))


def find_images(connection: Connection, collection: str, ids: list[int]) -> list[ShownImage]:
    """What the page shows of these images; those that are gone are left out."""
    given = {"collection": collection, "ids": ids, "letters": LETTERS}
    return fetch_all(connection, ShownImage, statement("maps", "images"), given)
