"""The interface of an object store, and its errors. No error by itself means that an image is at fault."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from image_retrieval.errors import Unavailable, UserError


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; `key` is relative to the listed prefix, `size` is in bytes."""

    uri: str
    key: str
    etag: str
    size: int
    last_modified: datetime


Page = Sequence[StoredObject]
ANEW: Page = []  # this very list, as a page: the listing begins again, and what came before it does not count


class StoreUnavailable(Unavailable):
    """The store fails as a whole: keys, clock, network, throttling, or a fault of its own. No object is to blame."""


class ListingIncomplete(StoreUnavailable):
    """An answer to a listing is incomplete, or may be."""


class ObjectFault(UserError):
    """One object cannot be read or written as requested; others of the store may be fine."""


class ObjectMissing(ObjectFault):
    """There is no such object."""


class ObjectChanged(ObjectFault, Unavailable):
    """The object is not the requested version."""


class ObjectTooLarge(ObjectFault):
    """The object has more bytes than the limit."""


class NameUnsupported(ObjectFault):
    """The store cannot hold or find an object of this name: it is too long, or not text."""


class AccessRefused(ObjectFault):
    """The store accepts the keys, but refuses this object or prefix. If it refuses all, the store is at fault."""


class ObjectUnreadable(ObjectFault):
    """The store fails repeatedly at this object, or has archived it. If it fails at all, the store is at fault."""


class NotDeleted(UserError):
    """The store refused to delete the objects `uris`; the others of the same call are deleted."""

    def __init__(self, message: str, uris: list[str]) -> None:
        super().__init__(message)
        self.uris = uris


class Objects(Protocol):
    """Reads, writes and lists objects whose URIs have one scheme. Any method may raise StoreUnavailable."""

    def pages(self, prefix: str, *, missing_ok: bool, follow_links: bool, cuts: Sequence[str] | None) -> Iterator[Page]:
        """Pages of the objects under a prefix that ends in `/`: all of them, or an error."""

    def read(self, uri: str, *, etag: str | None, size: int | None, limit: int | None) -> bytes:
        """The object's bytes, if it has the given etag and size, and at most `limit` bytes."""

    def read_range(self, uri: str, span: tuple[int, int], *, etag: str, limit: int | None) -> bytes:
        """Bytes [start, stop) of the object, if it has the given etag; `limit` as for `read`."""

    def write(self, uri: str, data: bytes) -> None:
        """Write an object completely or not at all."""

    def create(self, uri: str, data: bytes) -> bool:
        """Write an object if it does not exist. Returns whether it was written."""

    def upload(self, source: Path, uri: str) -> None:
        """Write a file of any size as an object, completely or not at all."""

    def stat(self, uri: str) -> StoredObject | None:
        """One object as a listing shows it, with its whole URI as the key; None if it does not exist."""

    def user_metadata(self, uri: str) -> tuple[StoredObject, dict[str, str]] | None:
        """An object, and the metadata that was written with it; None if it does not exist."""

    def tags(self, uri: str) -> dict[str, str] | None:
        """The tags of an object; None if it does not exist."""

    def open(self, uri: str) -> IO[bytes]:
        """A seekable stream that fetches only the ranges that are read."""

    def delete(self, uris: list[str]) -> None:
        """Delete objects; missing ones are ignored. Raises NotDeleted."""

    def delete_under(self, prefix: str) -> None:
        """Delete everything under a prefix that ends in `/`."""


def delete_all(batches: Iterable[tuple[Objects, list[str]]]) -> None:
    """Delete batches of objects, each from its store. Raises NotDeleted at the end, for all of them together."""
    refused: list[NotDeleted] = []
    for objects, uris in batches:
        try:
            objects.delete(uris)
        except NotDeleted as error:
            refused.append(error)
    if refused:
        raise NotDeleted(str(refused[0]), [uri for error in refused for uri in error.uris])
