"""Reads images that lie in something else: those that a table holds, for a run, and any original, for who shows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial

from image_retrieval.allowed import refusal
from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected
from image_retrieval.image_inputs import IN_TABLE, listed_image, member_image, original
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import ManifestRow
from image_retrieval.sources.table_lines import read_images, uri_of
from image_retrieval.sources.tables import open_table
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.tars import find_member
from image_retrieval.tar_uris import Place, split_member

Image = bytes | ImageRejected | None  # None: it is read by its URI
Given = tuple[ManifestRow, Image]
Connected = Callable[[], AbstractContextManager[Connection]]


def at_version(collection: Collection, store: ObjectStore, settings: Settings) -> Collection:
    """The collection with the version of its table that is the latest now, unless its entry names one."""
    if collection.format not in ("delta", "iceberg"):
        return collection
    version = open_table(collection, store, partial(refusal, settings=settings)).version
    return collection.model_copy(update={"table_version": version})


def with_images(
    collection: Collection, rows: Iterable[ManifestRow], version: str | None, store: ObjectStore, settings: Settings
) -> Iterator[Given]:
    """The rows of a manifest, each with its image where a table holds it, in the order of the table.

    `version` is that of the table which was listed. Raises UserError if the table cannot be read.
    """
    if not collection.columns.image:
        yield from ((row, None) for row in rows)
        return
    if version is not None:
        collection = collection.model_copy(update={"table_version": int(version)})
    by_uri = {row.uri: row for row in rows}
    versions = {row.uri: row.etag for row in by_uri.values()}
    for uri, image in read_images(collection, versions, store, partial(refusal, settings=settings)):
        yield by_uri[uri], image


def stored_original(
    store: ObjectStore,
    uri: str,
    settings: Settings,
    *,
    connected: Connected | None = None,
    version: tuple[str, int] | None = None,
) -> bytes:
    """The bytes behind the URI of an image of any collection. Raises as `image_inputs.original`.

    `version` is the ETag and the size that were listed; without it, it is whichever there is.
    An image in a tar is read where the database says that it lies, through `connected` or a connection of its own. An
    image in a table is read by the entry of its collection, in a scan of the table's ids.
    """
    if member := split_member(uri):
        with connected() if connected else connect(settings, keep_limits=True) as connection:
            found = find_member(connection, *member)
        if found is not None:  # else it is an object with such a name
            return member_image(store, Place(member[0], found.etag, found.offset, found.size), settings)
    if IN_TABLE in uri:
        from image_retrieval.pipeline.shown import listed_collections  # which knows models, and no run needs

        for collection in listed_collections(settings, missing_ok=True).values():
            if collection.columns.image and uri.startswith(uri_of(collection.source, "")):
                [(_, image)] = read_images(
                    collection, {uri: version and version[0]}, store, partial(refusal, settings=settings)
                )
                if isinstance(image, ImageRejected):
                    raise image
                return image
    return listed_image(store, uri, *version, settings) if version else original(store, uri, settings)


def smaller_or_original(uri: str, kept: str | None) -> str:
    """What a small copy of an image is made of: its original, but for one in a table its kept picture, if it has one.

    Finding one image in a table takes a scan of the ids.
    """
    return kept if kept and IN_TABLE in uri else uri
