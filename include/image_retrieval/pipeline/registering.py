"""Registers and deletes single images without a run, leaving object and row as a listing would."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from image_retrieval.collection import FORMATS, Collection
from image_retrieval.errors import Dropped, UserError
from image_retrieval.image_inputs import is_url
from image_retrieval.imaging.resample import Resampled
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.pipeline.apart import require_apart
from image_retrieval.pipeline.names import resampled_uri
from image_retrieval.pipeline.owning import pictures_place, require_own, work_place
from image_retrieval.pipeline.pending import finish_pending, replacing
from image_retrieval.pipeline.prefixes import listed_row
from image_retrieval.settings import Settings
from image_retrieval.store import images, listings, loading, models, told, vector_tables
from image_retrieval.store.connection import Connection
from image_retrieval.store.images import Registered
from image_retrieval.store.locks import lock_collection
from image_retrieval.store.pending import Pending, announce, read_pending
from image_retrieval.tar_uris import split_member

PICTURE_FACTS = (
    *("sha256", "width", "height", "format", "mode", "phash", "captured_at"),
    *("colours", "sharpness", "complexity"),
)


class ImageExists(UserError):
    """The id of a new image exists."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's bytes, its decoded form, its resampled file (empty if none is kept), vector, and model digest."""

    data: bytes
    found: Resampled
    file: bytes
    vector: Any
    digest: str


def register_image(
    connection: Connection,
    collection: Collection,
    image_id: str,
    picture: Picture,
    groups: tuple[str | None, str | None],
    settings: Settings,
    *,
    new: bool = False,
) -> str:
    """Write a picture's object, row and vector, replacing those of its id. Returns the id.

    `new`: raise ImageExists if there is a row of an image that is not deleted, or an object that no listing has found
    yet. This is checked under the collection's lock. If the transaction fails, `settle` or the next listing restores
    the object. `groups` are group_id and intra_id for keys that the collection's id_pattern does not match. Listings
    and other changes of the collection wait until the transaction ends; this call waits for them up to five seconds.
    Raises Dropped, UserError.
    """
    _require_prefix(collection)
    lock_collection(connection, collection.name, shortly=True)
    if vector_tables.lock_view(connection, collection) is None:
        raise Dropped(f"collection {collection.name!r} was dropped meanwhile")
    if models.shown(connection, collection).model.name != collection.model.name:
        raise UserError(f"collection {collection.name!r} was switched to another model meanwhile: repeat the request")
    finish_pending(connection, collection.name, settings)
    known = images.find_object(connection, collection.name, image_id)
    _require_own_object(collection, known.uri if known else None)
    suffix, *_ = FORMATS.get(picture.found.format, ("raw",))
    uri = known.uri if known else f"{collection.source}{image_id}.{suffix}"
    if not collection.takes(uri.removeprefix(collection.source)):
        raise UserError(f"{uri} matches none of the globs of collection {collection.name!r}: a listing would miss it")
    if new and ((known and not known.deleted) or ObjectStore(settings).stat(uri)):
        raise ImageExists(f"collection {collection.name!r} already has an image {image_id!r}")
    models.record_digest(connection, collection, picture.digest)
    models.record_source(connection, collection)
    require_own(connection, work_place(settings), ObjectStore(settings))
    objects = {uri: picture.data}
    if known and picture.file:  # a new image's file simply becomes an orphan if its row is not committed
        objects[resampled_uri(collection, image_id, settings)] = picture.file
    with replacing(connection, collection.name, objects, settings) as store:
        return _register(connection, collection, uri, picture, groups, store, settings)


def _require_prefix(collection: Collection) -> None:
    """Raise UserError if the images of a collection are not the objects under its source."""
    if collection.format or collection.index_format:
        raise UserError(
            f"collection {collection.name!r} shows the images that {collection.source} lists: change them there"
        )


def _register(
    connection: Connection,
    collection: Collection,
    uri: str,
    picture: Picture,
    groups: tuple[str | None, str | None],
    store: ObjectStore,
    settings: Settings,
) -> str:
    store.write(uri, picture.data)
    entry = store.stat(uri)
    if entry is None:
        raise UserError(f"{uri} was written, but is gone: another program deletes objects under {collection.source}")
    row = _registered(connection, collection, entry, groups)
    kept = None
    if picture.file:
        kept = resampled_uri(collection, row.image_id, settings)
        store.write(kept, picture.file)
    found = picture.found
    facts = {name: getattr(found, name) for name in PICTURE_FACTS}
    version = {"etag": entry.etag, "size": entry.size, "last_modified": entry.last_modified}
    loaded = pa.Table.from_pylist(
        [{"id": row.id, **version, **facts, "resampled_uri": kept}], pa.schema(loading.COLUMNS.items())
    )
    values = pa.array(picture.vector, pa.float32())
    vectors = pa.FixedSizeListArray.from_arrays(values, len(values))
    loading.load_vectors(connection, collection, loaded, pa.chunked_array([vectors]))
    return row.image_id


def delete_image(
    connection: Connection,
    collection: Collection,
    image_id: str,
    settings: Settings,
    store: ObjectStore | None = None,
) -> bool:
    """Mark an image's row as deleted, and announce that its object will be deleted.

    After the commit, `settle` or the next listing deletes the object. Returns whether there was such an image, or a
    remaining object of one that was deleted before. Raises UserError if a table holds the images.
    """
    if collection.columns.image:
        _require_prefix(collection)
    lock_collection(connection, collection.name, shortly=True)
    going = {change.uri for change in read_pending(connection, collection.name) if change.kind == "delete"}
    finish_pending(connection, collection.name, settings)
    if known := images.find_object(connection, collection.name, image_id):
        _require_own_object(collection, known.uri)
    uri = images.mark_deleted(connection, collection.name, image_id)
    if uri is None:
        return known is not None and known.uri in going
    entry = (store or ObjectStore(settings)).stat(uri)
    if entry is not None:
        change = Pending(collection.name, entry.uri, "delete", etag=entry.etag, last_modified=entry.last_modified)
        announce(connection, change)
    return True


def _require_own_object(collection: Collection, uri: str | None) -> None:
    """Raise UserError if an image has no object of its own, or if no listing would find the one of a new image."""
    tar, _ = (split_member(uri) if uri else None) or (None, None)
    owned = not is_url(uri) if uri else collection.source.endswith("/")
    place = tar or (None if owned else collection.source)
    if place:
        raise UserError(f"images of {place} cannot be changed here: add, replace or remove them there")


def make_collection(connection: Connection, collection: Collection, settings: Settings) -> None:
    """Create a collection's model row, its empty vector table and its empty view."""
    require_apart(connection, collection, settings)
    for place in (work_place(settings), pictures_place(settings)):
        require_own(connection, place, ObjectStore(settings))
    lock_collection(connection, collection.name, shortly=True)
    finish_pending(connection, collection.name, settings, anew=True)
    folder = model_folder(collection.model.source, collection.model.revision, settings, weights=False)
    model = describe(folder)
    models.register_model(connection, collection, model)
    vector_tables.ensure_vector_table(connection, collection, model.dimensions)
    vector_tables.show_in_view(connection, collection, model.dimensions, complete=True)


def _registered(
    connection: Connection, collection: Collection, entry: StoredObject, groups: tuple[str | None, str | None]
) -> Registered:
    """The object's row in `retrieval.image`, created or updated as by a listing."""
    key = entry.uri.removeprefix(collection.source)
    listed = listed_row(StoredObject(entry.uri, key, entry.etag, entry.size, entry.last_modified), collection)
    with listings.writing_listed(connection) as write:
        write(listed._replace(group_id=listed.group_id or groups[0], intra_id=listed.intra_id or groups[1]))
    told.keep_all(connection, collection.name)
    listings.register_listed(connection, collection.name)
    listings.restore(connection, collection.name)
    listings.describe(connection, collection.name)
    return images.find_registered(connection, collection.name, entry.uri)
