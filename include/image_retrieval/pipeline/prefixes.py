"""Puts what a prefix lists into the table `listed`."""

from collections.abc import Iterable

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason, UserError
from image_retrieval.objects import ANEW, ObjectStore, Page, StoredObject
from image_retrieval.pipeline.apart import WHY
from image_retrieval.pipeline.names import as_text, fault_of, without_suffix
from image_retrieval.pipeline.owning import WORK_MARK
from image_retrieval.sources.descriptions import SUFFIXES
from image_retrieval.store import listings
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Listed, ListedRow, Refused
from image_retrieval.store.sidecars import take_sidecars


def copy_prefix(
    connection: Connection, collection: Collection, store: ObjectStore, pages: Iterable[Page] | None
) -> Listed:
    """Write what the prefix lists, or given pages of it, to `listed`. Raises UserError."""
    if pages is None:
        cuts = listings.known_cuts(connection, collection.name)
        pages = store.pages(collection.source, follow_links=collection.follow_links, cuts=cuts)
    listings.create_listed(connection)
    remaining = iter(pages)
    found = _Found()
    while _copy_pages(connection, collection, remaining, found):  # until the listing does not begin again
        listings.empty_listed(connection)
        found = _Found()
    if "sidecar" in collection.metadata:
        take_sidecars(connection)
    if not found.ordered:  # an ordered listing has no object twice
        found.count -= listings.forget_repeated(connection)
    return Listed(found.count, list(found.refused.values()))


class _Found:
    """What the pages so far hold, and whether they are in order."""

    def __init__(self) -> None:
        self.count, self.last, self.ordered = 0, "", True
        self.refused: dict[str, Refused] = {}


def _copy_pages(connection: Connection, collection: Collection, pages: Iterable[Page], found: _Found) -> bool:
    """Write pages to `listed`. Returns whether the listing begins again."""
    with listings.adding_listed(connection) as write:
        for page in pages:
            if page is ANEW:
                return True
            for entry in page:
                beside = "sidecar" in collection.metadata and entry.key.lower().endswith(SUFFIXES)
                if not beside and not takes(entry, collection):
                    continue
                if refused := refusal_of(entry):
                    found.refused[refused.uri] = refused
                    continue
                write(listed_row(entry, collection))
                found.count += not beside
                found.ordered = found.ordered and entry.uri > found.last
                found.last = entry.uri
    return False


def takes(entry: StoredObject, collection: Collection) -> bool:
    """Whether an object is one of the collection's. Raises UserError for one of a work folder."""
    if entry.key.endswith(WORK_MARK):
        raise UserError(f"a work folder lies inside the source of {collection.name!r}, at {entry.uri}: {WHY}")
    return collection.takes(entry.key) and not (not entry.size and _is_marker(entry))


def refusal_of(entry: StoredObject) -> Refused | None:
    """The object's rejection if no table can hold its name."""
    fault = fault_of(entry.uri)
    return Refused(as_text(entry.uri), entry.etag, Reason.UNSUPPORTED_NAME, fault) if fault else None


def _is_marker(entry: StoredObject) -> bool:
    """Whether this object only marks a folder in an S3 store."""
    return not entry.size and (not entry.key or entry.key.endswith("/"))


def listed_row(entry: StoredObject, collection: Collection) -> ListedRow:
    """An object as a row of the temporary table `listed`."""
    groups = collection.groups(entry.key)
    short_id = without_suffix(entry.key)
    return ListedRow(entry.uri, entry.key, short_id, entry.etag, entry.size, entry.last_modified, *groups)
