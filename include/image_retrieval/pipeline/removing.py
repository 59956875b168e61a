"""Remove: what is left of deleted images after a time of grace, and resampled pictures that belong to no image.

Originals are nobody's but their owner's: nothing here deletes an object under a source.
"""

import re
from dataclasses import astuple, dataclass

import structlog
from psycopg.rows import class_row

from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_apart
from image_retrieval.pipeline.listing import copy_listing
from image_retrieval.pipeline.names import fault_of, ids_of, pictures_folder
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.locks import lock_collection
from image_retrieval.store.sql import statement

BATCH = 1000
PICTURE = re.compile(r"(.+)_resample(\.png|\.jpg|\.webp)", re.DOTALL)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Picture:
    """A resampled picture, and the id of the image that it is named after; None where its name does not tell.

    `name` is the id as it is written, `image_id` as it may have been, `hash` that of a long one.
    """

    uri: str
    name: str | None
    image_id: str | None
    hash: str | None


@dataclass(frozen=True, slots=True)
class Orphans:
    """What belongs to nothing, counted. Only `pictures`, resampled ones without an image, are ours to remove."""

    pictures: int  # removed where that was asked for
    pictures_left: int  # that the store refused to delete
    images_without_object: int  # the next listing marks them deleted
    objects_without_image: int  # the next listing registers them
    images_without_picture: int  # a full re-scan brings it back
    vectors_without_image: int


def count_expired(collection: Collection, settings: Settings) -> int:
    """How many images `remove_expired` would remove."""
    with connect(settings) as connection:
        row = connection.execute(statement("removing", "count_expired"), _grace(collection, settings)).fetchone() or {}
    return int(row["expired"])


def remove_expired(collection: Collection, settings: Settings) -> int:
    """Remove images that were deleted `deleted_grace_days` ago: rows, vectors of every model, resampled pictures.

    In batches that have the collection to themselves: an image that comes back is either restored with all it had, or
    new. Pictures go after the rows, as those that belong to no image: what a kill leaves, or the store refuses to
    delete, is found among the orphans. Returns how many images were removed.
    """
    store, removed = ObjectStore(settings), 0
    with connect(settings) as connection:
        _require_ours(connection, collection, store, settings, claim=True)
    while count := _remove_batch(collection, settings, store):
        removed += count
    log.info("removed deleted images", images=removed, grace_days=settings.deleted_grace_days)
    return removed


def _remove_batch(collection: Collection, settings: Settings, store: ObjectStore) -> int:
    key = {"collection": collection.name}
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        connection.execute(statement("removing", "keep_loads_out"), key)
        expired = {**_grace(collection, settings), "limit": BATCH}
        rows = connection.execute(statement("removing", "find_expired"), expired).fetchall()
        ids = {"ids": [row["id"] for row in rows]}
        for table in connection.execute(statement("removing", "find_vector_tables"), key).fetchall():
            connection.execute(statement("removing", "remove_vectors", vectors=table["vectors"]), ids)
        connection.execute(statement("removing", "remove_images"), ids)
    # after the rows: a row whose picture is gone would be searchable without it if it came back
    folder = pictures_folder(collection.name, settings)
    uris = [row["resampled_uri"] for row in rows if (row["resampled_uri"] or "").startswith(folder)]
    _remove_pictures([_picture(uri, uri.removeprefix(folder), collection) for uri in uris], collection, settings, store)
    return len(rows)


def find_orphans(collection: Collection, settings: Settings, *, remove: bool = False) -> Orphans:
    """Compare bucket, resampled pictures and tables in both directions; `remove`: delete pictures without an image.

    Raises UserError where the bucket cannot be listed, where a source lies among the pictures or the work folder in a
    source, and where that folder is another project's.
    """
    folder = pictures_folder(collection.name, settings)
    store, key = ObjectStore(settings), {"collection": collection.name}
    with connect(settings) as connection:
        _require_ours(connection, collection, store, settings, claim=remove)
        _copy_pictures(connection, collection, store, folder)
        found = _orphaned_pictures(connection, collection)
        copy_listing(connection, collection, store)
        counts = connection.execute(statement("removing", "count_orphans"), {**key, "folder": folder}).fetchone() or {}
        counts["vectors_without_image"] = _orphaned_vectors(connection, collection)
    if not remove:
        return Orphans(pictures=len(found), pictures_left=0, **counts)
    left = 0
    for start in range(0, len(found), BATCH):
        left += _remove_pictures(found[start : start + BATCH], collection, settings, store)
    return Orphans(pictures=len(found) - left, pictures_left=left, **counts)


def _require_ours(
    connection: Connection, collection: Collection, store: ObjectStore, settings: Settings, *, claim: bool
) -> None:
    require_apart(connection, collection, settings)
    require_own(connection, work_place(settings), store, claim=claim)


def _remove_pictures(found: list[Picture], collection: Collection, settings: Settings, store: ObjectStore) -> int:
    """Delete those of these pictures that belong to no image: one may have come back since they were found.

    Returns how many the store refused to delete.
    """
    if not found:
        return 0
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        connection.execute(statement("removing", "create_pictures"))
        _copy(connection, found)
        orphans = _orphaned_pictures(connection, collection)
        left = store.try_delete([picture.uri for picture in orphans])
    if left:
        log.warning("the object store refuses to delete", pictures=len(left), first=left[0])
    log.info("removed orphaned pictures", pictures=len(orphans) - len(left), left=len(left))
    return len(left)


def _orphaned_pictures(connection: Connection, collection: Collection) -> list[Picture]:
    """Those of the table `pictures` that belong to no image."""
    with connection.cursor(row_factory=class_row(Picture)) as cursor:
        key = {"collection": collection.name}
        return cursor.execute(statement("removing", "find_orphaned_pictures"), key).fetchall()


def _copy_pictures(connection: Connection, collection: Collection, store: ObjectStore, folder: str) -> None:
    """Put the resampled pictures that lie in the folder, with the ids in their names, into the table `pictures`."""
    connection.execute(statement("removing", "create_pictures"))
    for page in store.pages(folder, missing_ok=True):
        named = [entry for entry in page if fault_of(entry.uri) is None and PICTURE.fullmatch(entry.key)]
        _copy(connection, [_picture(entry.uri, entry.key, collection) for entry in named])


def _picture(uri: str, key: str, collection: Collection) -> Picture:
    """A picture with what its name tells of the image_id that it is named after."""
    name = PICTURE.fullmatch(key)
    if name is None or name[2] != collection.resample.suffix:
        return Picture(uri, None, None, None)  # of a former suffix: it is an image's only if the image's row says so
    return Picture(uri, *ids_of(name[1]))


def _copy(connection: Connection, pictures: list[Picture]) -> None:
    with connection.cursor().copy(statement("removing", "copy_pictures")) as copy:
        for picture in pictures:
            copy.write_row(astuple(picture))


def _orphaned_vectors(connection: Connection, collection: Collection) -> int:
    space = collection.space
    names = {"collection": space.collection, "model": space.model}
    if connection.execute(statement("view", "find_space"), names).fetchone() is None:
        return 0
    counted = statement("removing", "count_orphaned_vectors", vectors=space.vector_table)
    row = connection.execute(counted).fetchone() or {}
    return int(row["vectors"])


def _grace(collection: Collection, settings: Settings) -> dict[str, str | float]:
    return {"collection": collection.name, "grace_seconds": settings.deleted_grace_days * 86400}
