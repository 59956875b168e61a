"""What every store of objects does, and the ways in which it fails. None of them is an image's fault by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from image_retrieval.errors import Unavailable, UserError


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing tells of one object; `key` is relative to the listed prefix, `size` in bytes."""

    uri: str
    key: str
    etag: str
    size: int
    last_modified: datetime


class StoreUnavailable(Unavailable):
    """The store fails as a whole: keys, clock, network, throttling, a fault of its own. No object is to blame."""


class ListingIncomplete(StoreUnavailable):
    """An answer to a listing is not all that there is, or cannot be told from one that is not."""


class ObjectFault(UserError):
    """One object cannot be had as it was asked for; the others of its store may."""


class ObjectMissing(ObjectFault):
    """There is no such object."""


class ObjectChanged(ObjectFault, Unavailable):
    """The object is not the version that was asked for."""


class ObjectTooLarge(ObjectFault):
    """The object has more bytes than were asked for."""


class NameUnsupported(ObjectFault):
    """The store cannot hold or find an object of this name: it is too long, or no text."""


class AccessRefused(ObjectFault):
    """The store knows who asks, and does not give this object or prefix. Of all objects: its own fault."""


class ObjectUnreadable(ObjectFault):
    """The store fails at this object again and again, or has archived it. At all objects: its own fault."""


class NotDeleted(UserError):
    """The store refused to delete some objects, whose `uris` these are; the others of the same call are deleted."""

    def __init__(self, message: str, uris: list[str]) -> None:
        super().__init__(message)
        self.uris = uris


class Objects(Protocol):
    """Reads, writes and lists objects whose URIs have one scheme. Any method may raise StoreUnavailable."""

    def pages(self, prefix: str, *, missing_ok: bool, follow_links: bool) -> Iterator[list[StoredObject]]:
        """Pages of the objects under a prefix that ends in `/`: all of them, or an error."""

    def read(self, uri: str, *, etag: str | None, size: int | None, limit: int | None) -> bytes:
        """The object's bytes: at the etag and of the size that are given, and with a limit no more bytes than that."""

    def write(self, uri: str, data: bytes) -> None:
        """Write an object whole or not at all."""

    def create(self, uri: str, data: bytes) -> bool:
        """Write an object that is not there yet; returns whether it was written."""

    def upload(self, source: Path, uri: str) -> None:
        """Write a file of any size as an object, whole or not at all."""

    def stat(self, uri: str) -> StoredObject | None:
        """What a listing would tell of one object, its whole URI as the key; None where there is none."""

    def open(self, uri: str) -> IO[bytes]:
        """A seekable stream that fetches only the ranges that are read."""

    def delete(self, uris: list[str]) -> None:
        """Delete objects; those that are not there do not matter. Raises NotDeleted."""

    def delete_under(self, prefix: str) -> None:
        """Delete everything under a prefix that ends in `/`."""
