"""Remove: deleted images after the grace period, and resampled pictures that belong to no image.

Originals belong to their owner: nothing here deletes an object under a source.
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
    """Counts of orphans. Only `pictures`, resampled ones without an image, may be removed."""

    pictures: int  # removed if requested
    pictures_left: int  # those that the store refused to delete
    images_without_object: int  # the next listing marks them as deleted
    objects_without_image: int  # the next listing registers them
    images_without_picture: int  # a full re-scan restores it
    vectors_without_image: int


def count_expired(collection: Collection, settings: Settings) -> int:
    """The number of images that `remove_expired` would remove."""
    with connect(settings) as connection:
        return removals.count_expired(connection, collection.name, _grace_seconds(settings))


def remove_expired(collection: Collection, settings: Settings) -> int:
    """Remove images that were deleted `deleted_grace_days` ago: rows, vectors of every model, resampled pictures.

    Each batch holds the collection's lock, so an image that comes back is either restored completely, or new. Pictures
    are removed after the rows, as pictures without an image, so those that a kill or a refusal leaves are found as
    orphans. Returns the number of removed images.
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
    # after the rows: an image that came back would otherwise be searchable without its picture
    folder = pictures_folder(collection.name, settings)
    uris = [image.resampled_uri for image in expired if (image.resampled_uri or "").startswith(folder)]
    pictures = [_picture(uri, uri.removeprefix(folder), collection) for uri in uris if uri is not None]
    _remove_pictures(pictures, collection, settings, store)
    return len(expired)


def find_orphans(collection: Collection, settings: Settings, *, remove: bool = False) -> Orphans:
    """Compare bucket, resampled pictures and tables in both directions. `remove` deletes pictures without an image.

    Raises UserError if the bucket cannot be listed, if a source and the work folder overlap, or if the work folder
    belongs to another project.
    """
    folder = pictures_folder(collection.name, settings)
    store = ObjectStore(settings)
    with connect(settings) as connection:
        _require_ours(connection, collection, store, settings, claim=remove)
        _copy_pictures(connection, collection, store, folder)
        found = removals.find_orphaned_pictures(connection, collection.name)
        copy_listing(connection, collection, store, settings, ask_urls=False)
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
    """Delete those of these pictures that still belong to no image.

    Returns the number that the store refused to delete.
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
    """Put the folder's resampled pictures, with the ids in their names, into the table `pictures`."""
    removals.create_pictures(connection)
    for page in store.pages(folder, missing_ok=True):
        named = [entry for entry in page if fault_of(entry.uri) is None and PICTURE.fullmatch(entry.key)]
        removals.copy_pictures(connection, [_picture(entry.uri, entry.key, collection) for entry in named])


def _picture(uri: str, key: str, collection: Collection) -> Picture:
    """A picture with the image_id that its name contains."""
    name = PICTURE.fullmatch(key)
    if name is None or name[2] != collection.resample.suffix:
        return Picture(uri, None, None, None)  # has a former suffix: only an image's row can name it
    return Picture(uri, *ids_of(name[1]))


def _grace_seconds(settings: Settings) -> float:
    return settings.deleted_grace_days * 86400
