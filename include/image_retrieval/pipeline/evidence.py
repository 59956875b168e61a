"""Decides whether unreadable objects of a shard are at fault themselves, or the store is."""

from collections.abc import Iterator
from functools import partial
from itertools import islice

from image_retrieval.allowed import refusal
from image_retrieval.collection import Collection
from image_retrieval.errors import Reason
from image_retrieval.image_inputs import is_url
from image_retrieval.objects import ObjectFault, ObjectStore, Page, StoreUnavailable
from image_retrieval.pipeline.tars import find_tars
from image_retrieval.settings import Settings
from image_retrieval.shards import PackedRow
from image_retrieval.sources.inventory import find_inventory, inventory_pages
from image_retrieval.sources.members import read_members
from image_retrieval.tar_uris import place_of, split_member

DOUBTFUL = {Reason.ACCESS_DENIED, Reason.UNREACHABLE}  # one object's fault or all's: a revoked right looks the same
UNREAD = DOUBTFUL | {Reason.NOT_FOUND, Reason.CHANGED_WHILE_READING, Reason.UNSUPPORTED_NAME, Reason.TOO_LARGE}
PAGES = 20  # of the source's listing that are searched for another object
OF_A_PAGE = 3
TARS = 10  # of members that were refused, which are tried themselves


class Evidence:
    """The outcome of a shard's rows. Thread-safe."""

    def __init__(self) -> None:
        self._refused: list[PackedRow] = []
        self._read: PackedRow | None = None

    def take(self, row: PackedRow) -> None:
        """Record the outcome of a row."""
        if row.reason in DOUBTFUL:
            self._refused.append(row)
        elif row.reason not in UNREAD:
            self._read = row

    def require_images_fault(self, collection: Collection, store: ObjectStore, settings: Settings) -> None:
        """Raise StoreUnavailable if the source's other objects are refused, too.

        If objects of the shard were read before, one of them must be readable again; otherwise one of the source's
        others. Of an index file with members in several buckets, it may be in any of them: one that refuses everything
        does not stop the others.
        """
        if not self._refused:
            return
        others = iter([_object_of(self._read)]) if self._read is not None else self._others(collection, store, settings)
        if not any(_is_given(uri, store) for uri in others):
            raise StoreUnavailable(
                f"the store no longer returns any object of this shard, and refused {len(self._refused)}: "
                f"{self._refused[0].detail}"
            )

    def _others(self, collection: Collection, store: ObjectStore, settings: Settings) -> Iterator[str]:
        """Some objects of the source that were not refused, from several places in its listing.

        At the end come the tars of refused members, since there may be no others: one member may be at fault alone.
        """
        refused = {_object_of(row) for row in self._refused}
        for page in islice(_pages(collection, store, settings), PAGES):
            taken = [uri for uri in dict.fromkeys(page) if uri not in refused]
            yield from taken[:: max(1, len(taken) // OF_A_PAGE)][:OF_A_PAGE]
        yield from sorted(refused - {row.uri for row in self._refused})[:TARS]


def _pages(collection: Collection, store: ObjectStore, settings: Settings) -> Iterator[list[str]]:
    """The URIs that a source lists, in batches."""
    if collection.index_format:
        for members in read_members(collection, store, partial(refusal, settings=settings)):
            uris = (member.uri for member in members.rows if not is_url(member.uri))
            yield [(split_member(uri) or (uri,))[0] for uri in uris]
        return
    if collection.lists_tars:
        yield [entry.uri for entry in find_tars(collection, store)]
        return
    if collection.format == "inventory":
        inventory = find_inventory(collection.source, store)
        pages: Iterator[Page] = inventory_pages(inventory, store, partial(refusal, settings=settings))
    else:
        pages = store.pages(collection.source, follow_links=collection.follow_links)
    for page in pages:
        yield [entry.uri for entry in page if entry.size and collection.takes(entry.key)]


def _object_of(row: PackedRow) -> str:
    """The object that holds the bytes of an image: itself, or its tar."""
    place = place_of(row.uri, row.etag)
    return place.tar if place else row.uri


def _is_given(uri: str, store: ObjectStore) -> bool:
    try:
        with store.open(uri) as stream:
            return bool(stream.read(1))
    except ObjectFault:
        return False
