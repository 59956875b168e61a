"""Compares a bucket's listing with the table while it is read, so that only what differs is written anywhere.

Listing and table are both read in the order of the URIs, side by side. An object goes into the table `listed` unless
the table knows its very version, and an image goes into `unlisted` if the listing passes its place without it. What a
difference means is decided by the same statements that compare a whole listing.
"""

from collections.abc import Iterator
from operator import lt

import structlog

from image_retrieval.collection import Collection
from image_retrieval.globs import all_that_match
from image_retrieval.group_columns import find_all_groups
from image_retrieval.objects import ANEW, ObjectStore, Page
from image_retrieval.objects.columns import etags_of, sizes_of, uris_of
from image_retrieval.pipeline.listing_parts import ListingParts
from image_retrieval.pipeline.names import LONGEST, MARK, fault_of
from image_retrieval.pipeline.owning import WORK_MARK
from image_retrieval.pipeline.prefixes import listed_row, refusal_of, takes
from image_retrieval.schemes import is_bucket
from image_retrieval.store import known, listings
from image_retrieval.store.connection import Connection
from image_retrieval.store.known import KnownImages, Version
from image_retrieval.store.listings import Listed, ListedRow
from image_retrieval.store.parts import refused_of

log = structlog.get_logger()
AT_ONCE = 5000  # differences that are written


def find_changes(
    connection: Connection, collection: Collection, store: ObjectStore, kept: ListingParts
) -> Listed | None:
    """Fill `listed` with a bucket's new and changed objects, and `compared` with the images that may differ.

    Goes on behind the parts that are kept of an earlier try. Returns None, and leaves nothing, where the whole listing
    has to be compared: for a source of another kind, and where the store or the database has no order. Raises UserError
    if the source cannot be listed completely.
    """
    if not _is_plain(collection):
        return None
    listings.create_listed(connection)
    known.create_unlisted(connection)
    found = _Found(connection, collection, kept)
    images = KnownImages(connection, collection.space, found.last or None)
    try:
        for page in _pages(connection, collection, store, found.last):
            if page is ANEW:
                raise known.Disordered
            found.compare(page, images)
        found.finish(images)
    except known.Disordered:
        log.info("comparing the whole listing", collection=collection.name)
        known.drop_compared(connection)
        if kept.any:
            kept.forget()
        return None
    finally:
        images.close()
    listings.analyse_listed(connection)
    known.find_compared(connection, collection.name)
    return Listed(found.count, list(found.refused.values()))


def _is_plain(collection: Collection) -> bool:
    """Whether a collection lists the images of a bucket's prefix, and nothing else describes them."""
    other = collection.index_format or collection.format or collection.lists_tars
    return is_bucket(collection.source) and not (other or collection.metadata or collection.attributes_from)


def _pages(connection: Connection, collection: Collection, store: ObjectStore, behind: str) -> Iterator[Page]:
    cuts = listings.known_cuts(connection, collection.name)
    return store.pages_behind(collection.source, behind, cuts) if behind else store.pages(collection.source, cuts=cuts)


class _Found:
    """What a listing holds so far, and the differences that are not written yet."""

    def __init__(self, connection: Connection, collection: Collection, kept: ListingParts) -> None:
        self._connection, self._collection, self._kept = connection, collection, kept
        self._rows: list[ListedRow] = []
        self._missing: list[str] = []
        former = kept.take(connection)
        self.count = self._counted = sum(part.listed for part in former)
        self.refused = {entry.uri: entry for entry in refused_of(former)}
        self._refused = len(self.refused)  # as many are kept
        self.last = former[-1].up_to if former else ""

    def compare(self, page: Page, images: KnownImages) -> None:
        """Note how a page differs from the images up to its end. Raises Disordered, and UserError for a work folder."""
        uris = uris_of(page)
        if not self.last < uris[0] or not all(map(lt, uris, uris[1:])):
            raise known.Disordered
        self.last = uris[-1]
        before = images.up_to(uris[-1])
        places = self._taken(page, uris)
        if len(places) < len(uris):
            uris = [uris[at] for at in places]
        self.count += len(uris)
        versions = self._versions(page, places, uris)
        for at, uri, version in zip(places, uris, versions, strict=True):
            if before.get(uri) != version and not _is_same(before.get(uri), version):
                self._rows.append(listed_row(page[at], self._collection))
        self._missing += before.keys() - uris
        if len(self._rows) + len(self._missing) < AT_ONCE and not self._kept.is_due():
            return
        if not fault_of(self.last):  # else the next part ends at a name that a table can hold
            new = list(self.refused.values())[self._refused :]
            self._kept.save(self.last, self.count - self._counted, new, self._rows, self._missing)
            self._counted, self._refused = self.count, len(self.refused)
            self._write(images)

    def finish(self, images: KnownImages) -> None:
        """Write what is left, and which images come behind the last page. Raises Disordered."""
        for uris in images.rest():
            self._missing += uris
            if len(self._missing) >= AT_ONCE:
                self._write(images)
        self._write(images)

    def _write(self, images: KnownImages) -> None:
        images.pause()
        with listings.adding_listed(self._connection) as write:
            for row in self._rows:
                write(row)
        known.write_unlisted(self._connection, self._missing)
        self._rows, self._missing = [], []

    def _taken(self, page: Page, uris: list[str]) -> list[int]:
        """The places of the objects that are the collection's, and that the tables can hold."""
        start = len(self._collection.source)
        text = "\n".join(uris)
        odd = not text.isascii() or "\0" in text or MARK in text or WORK_MARK in text or max(map(len, uris)) > LONGEST
        if not odd and all(sizes_of(page)):
            return all_that_match([uri[start:] for uri in uris], self._collection.glob)
        places = []
        for at, entry in enumerate(page):
            if not takes(entry, self._collection):
                continue
            if refused := refusal_of(entry):
                self.refused[refused.uri] = refused
            else:
                places.append(at)
        return places

    def _versions(self, page: Page, places: list[int], uris: list[str]) -> list[Version]:
        """The versions of objects, with the groups that the collection's pattern finds in their keys."""
        etags = etags_of(page)
        if len(places) < len(page):
            etags = [etags[at] for at in places]
        pattern, start = self._collection.id_pattern, len(self._collection.source)
        if pattern is None:
            return [(etag, None, None) for etag in etags]
        groups = find_all_groups(pattern, [uri[start:] for uri in uris], ("group_id", "intra_id"))
        return list(zip(etags, *groups, strict=True))


def _is_same(before: Version | None, now: Version) -> bool:
    """Whether an image has a version; where a listing finds no group, any will do."""
    return (
        before is not None
        and before[0] == now[0]
        and all(found is None or found == given for given, found in zip(before[1:], now[1:], strict=True))
    )
