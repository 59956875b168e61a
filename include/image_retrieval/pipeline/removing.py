"""Remove: what is left of deleted images after a time of grace, and resampled pictures that belong to no image.

Originals are nobody's but their owner's: nothing here deletes an object under a source.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import structlog

from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_apart
from image_retrieval.pipeline.listing import copy_listing
from image_retrieval.pipeline.names import fault_of, ids_of, pictures_folder
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.settings import Settings
from image_retrieval.store import removals
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.locks import lock_collection
from image_retrieval.store.removals import Picture

BATCH = 1000
PICTURE = re.compile(r"(.+)_resample(\.png|\.jpg|\.webp)", re.DOTALL)

log = structlog.get_logger()


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
        return removals.count_expired(connection, collection.name, _grace_seconds(settings))


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
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        expired = removals.remove_expired(connection, collection.name, _grace_seconds(settings), BATCH)
    # after the rows: a row whose picture is gone would be searchable without it if it came back
    folder = pictures_folder(collection.name, settings)
    uris = [image.resampled_uri for image in expired if (image.resampled_uri or "").startswith(folder)]
    pictures = [_picture(uri, uri.removeprefix(folder), collection) for uri in uris if uri is not None]
    _remove_pictures(pictures, collection, settings, store)
    return len(expired)


def find_orphans(collection: Collection, settings: Settings, *, remove: bool = False) -> Orphans:
    """Compare bucket, resampled pictures and tables in both directions; `remove`: delete pictures without an image.

    Raises UserError where the bucket cannot be listed, where a source lies among the pictures or the work folder in a
    source, and where that folder is another project's.
    """
    folder = pictures_folder(collection.name, settings)
    store = ObjectStore(settings)
    with connect(settings) as connection:
        _require_ours(connection, collection, store, settings, claim=remove)
        _copy_pictures(connection, collection, store, folder)
        found = removals.find_orphaned_pictures(connection, collection.name)
        copy_listing(connection, collection, store)
        counts = asdict(removals.count_orphans(connection, collection.name, folder))
        counts["vectors_without_image"] = removals.count_orphaned_vectors(connection, collection.space)
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


def _remove_pictures(found: Sequence[Picture], collection: Collection, settings: Settings, store: ObjectStore) -> int:
    """Delete those of these pictures that belong to no image: one may have come back since they were found.

    Returns how many the store refused to delete.
    """
    if not found:
        return 0
    with connect(settings) as connection:
        lock_collection(connection, collection.name)
        removals.create_pictures(connection)
        removals.copy_pictures(connection, found)
        orphans = removals.find_orphaned_pictures(connection, collection.name)
        left = store.try_delete([picture.uri for picture in orphans])
    if left:
        log.warning("the object store refuses to delete", pictures=len(left), first=left[0])
    log.info("removed orphaned pictures", pictures=len(orphans) - len(left), left=len(left))
    return len(left)


def _copy_pictures(connection: Connection, collection: Collection, store: ObjectStore, folder: str) -> None:
    """Put the resampled pictures that lie in the folder, with the ids in their names, into the table `pictures`."""
    removals.create_pictures(connection)
    for page in store.pages(folder, missing_ok=True):
        named = [entry for entry in page if fault_of(entry.uri) is None and PICTURE.fullmatch(entry.key)]
        removals.copy_pictures(connection, [_picture(entry.uri, entry.key, collection) for entry in named])


def _picture(uri: str, key: str, collection: Collection) -> Picture:
    """A picture with what its name tells of the image_id that it is named after."""
    name = PICTURE.fullmatch(key)
    if name is None or name[2] != collection.resample.suffix:
        return Picture(uri, None, None, None)  # of a former suffix: it is an image's only if the image's row says so
    return Picture(uri, *ids_of(name[1]))


def _grace_seconds(settings: Settings) -> float:
    return settings.deleted_grace_days * 86400
