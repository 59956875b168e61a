"""Hints: receives them, and lists the hinted objects alone.

A hint names an object that may have changed. Nothing else of an event counts: what became of the object is asked of the
store, so doubled, lost and reordered events change nothing. The scheduled listing finds what no event told.
"""

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import structlog

from image_retrieval.collection import Collection, load_collections
from image_retrieval.objects import ObjectFault, ObjectStore, StoredObject
from image_retrieval.objects.uris import local_path
from image_retrieval.pipeline.names import fault_of
from image_retrieval.settings import Settings
from image_retrieval.store import hints
from image_retrieval.store.connection import Connection, connect

log = structlog.get_logger()
AT_ONCE = 16  # objects that are looked at at once
MOST = 100_000  # objects of one run; later hints wait for the next


@dataclass(frozen=True, slots=True)
class Received:
    """The number of hints that a collection takes, and of those that none does."""

    accepted: int
    ignored: int


def receive(uris: Iterable[str], settings: Settings) -> Received:
    """Record which objects may have changed, for each collection that watches its source. Raises UserError."""
    watching = [entry for entry in load_collections(settings.collections_path).values() if entry.watch]
    given = list(dict.fromkeys(uris))
    found = [(entry.name, uri) for uri in given for entry in watching if _belongs(uri, entry)]
    with connect(settings) as connection:
        hints.write_hints(connection, found)
    accepted = len({uri for _, uri in found})
    return Received(accepted, len(given) - accepted)


def _belongs(uri: str, collection: Collection) -> bool:
    """Whether a URI is the one under which the collection's listing finds an image.

    Names that no table can hold, and files behind linked folders, are left to the listing.
    """
    key = uri.removeprefix(collection.source)
    if key in ("", uri) or key.endswith("/") or not collection.takes(key) or fault_of(uri):
        return False
    parts, folder = key.split("/"), local_path(collection.source)
    if ".." in parts:
        return False
    if folder is None:
        return True
    return not {"", "."} & set(parts) and folder.joinpath(*parts[:-1]).resolve() == folder.resolve().joinpath(
        *parts[:-1]
    )


def hinted_pages(connection: Connection, collection: Collection, store: ObjectStore) -> Iterable[list[StoredObject]]:
    """Pages of the hinted objects that exist; their hints are in the temporary table `hinted`.

    An object that the store does not show is left to the listing. Raises StoreUnavailable.
    """
    uris = hints.take_hints(connection, collection.name, MOST)
    found: list[StoredObject] = []
    refused: list[str] = []

    def look(uri: str) -> None:
        try:
            entry = store.stat(uri)
        except ObjectFault:
            refused.append(uri)
        else:
            if entry is not None:
                found.append(replace(entry, key=uri.removeprefix(collection.source)))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(look, uris):
            pass
    hints.leave_refused(connection, refused)
    return [found]


def leave_many_gone(connection: Connection, collection: Collection, gone: int) -> int:
    """Leave removals to the listing if they, with those of the last day, exceed the deletion limit.

    Returns the number of removals that are left in the table `difference`.
    """
    if not gone:
        return 0
    known = hints.count_known(connection, collection.name)
    allowed = math.ceil(round(collection.deletion_limit * (known.known + known.gone), 6))
    if known.gone + gone <= allowed:
        return gone
    log.warning("too many images are gone: the scheduled listing decides", gone=gone, within_a_day=known.gone)
    hints.leave_unlisted(connection)
    return 0
