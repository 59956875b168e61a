"""Removals: images that were deleted long ago, and resampled pictures that belong to no image."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import keep_loads_out
from image_retrieval.store.rows import fetch_all, fetch_column, fetch_one, fetch_value
from image_retrieval.store.sql import statement
from image_retrieval.store.vector_tables import is_there


@dataclass(frozen=True, slots=True)
class Picture:
    """A resampled picture, and the image id in its name; None if the name does not contain it.

    `name` is the id as written, `image_id` its unescaped form, `hash` that of a shortened id.
    """

    uri: str
    name: str | None
    image_id: str | None
    hash: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    """An image that was deleted long ago, and the URI of its resampled picture, if one was kept."""

    id: int
    resampled_uri: str | None


@dataclass(frozen=True, slots=True)
class OrphanCounts:
    """Counts of mismatches between source, pictures and `retrieval.image`."""

    images_without_object: int
    objects_without_image: int
    images_without_picture: int


def count_expired(connection: Connection, collection: str, grace_seconds: float) -> int:
    """The number of images deleted at least `grace_seconds` ago."""
    values = {"collection": collection, "grace_seconds": grace_seconds}
    return int(fetch_value(connection, statement("removals", "count_expired"), values))


def remove_expired(connection: Connection, collection: str, grace_seconds: float, limit: int) -> list[Expired]:
    """Remove rows and vectors of the first `limit` images deleted that long ago. Returns these images."""
    keep_loads_out(connection, collection)
    values = {"collection": collection, "grace_seconds": grace_seconds, "limit": limit}
    expired = fetch_all(connection, Expired, statement("removals", "find_expired"), values)
    ids = {"ids": [image.id for image in expired]}
    for table in fetch_column(connection, statement("removals", "find_vector_tables"), {"collection": collection}):
        connection.execute(statement("removals", "remove_vectors", vectors=table), ids)
    connection.execute(statement("removals", "remove_images"), ids)
    return expired


def create_pictures(connection: Connection) -> None:
    """Create the temporary table `pictures`."""
    connection.execute(statement("removals", "create_pictures"))


def copy_pictures(connection: Connection, pictures: Iterable[Picture]) -> None:
    """Put pictures into the table `pictures`."""
    with connection.cursor().copy(statement("removals", "copy_pictures")) as copy:
        for picture in pictures:
            copy.write_row(astuple(picture))


def find_orphaned_pictures(connection: Connection, collection: str) -> Sequence[Picture]:
    """The rows of `pictures` that belong to no image of a collection."""
    query = statement("removals", "find_orphaned_pictures")
    return fetch_all(connection, Picture, query, {"collection": collection})


def count_orphans(connection: Connection, collection: str, folder: str) -> OrphanCounts:
    """Compare the tables `listed` and `pictures` (those in `folder`) with the images of a collection."""
    values = {"collection": collection, "folder": folder}
    return fetch_one(connection, OrphanCounts, statement("removals", "count_orphans"), values)


def count_orphaned_vectors(connection: Connection, space: VectorSpace) -> int:
    """The number of vectors of a space without an image."""
    if not is_there(connection, space):
        return 0
    return int(fetch_value(connection, statement("removals", "count_orphaned_vectors", vectors=space.vector_table)))
