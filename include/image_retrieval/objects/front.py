"""Picks the store by the scheme of a URI."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO

from image_retrieval.objects.base import NotDeleted, Objects, StoredObject
from image_retrieval.objects.local import LocalObjects
from image_retrieval.objects.uris import local_path
from image_retrieval.settings import Settings


class ObjectStore:
    """Reads, writes and lists objects. Create one per process: its client keeps connections open.

    The methods raise the errors of `base`, all of them UserErrors, and UserError for an unknown scheme.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalObjects(local_path(settings.work_uri))

    @cached_property
    def _s3(self) -> Objects:
        from image_retrieval.objects.s3 import S3Objects  # boto3 takes a third of a second

        return S3Objects(self._settings)

    def _of(self, uri: str) -> Objects:
        return self._s3 if local_path(uri) is None else self._local

    def pages(
        self, prefix: str, *, missing_ok: bool = False, follow_links: bool = False
    ) -> Iterator[list[StoredObject]]:
        """Pages of the objects under a prefix that ends in `/`, in the store's own order.

        Yields all objects or raises an error at the end; a store may list an object twice. Raises UserError if a folder
        or bucket does not exist; `missing_ok`: a missing folder counts as empty. `follow_links`: list linked folders,
        too, each once.
        """
        return self._of(prefix).pages(prefix, missing_ok=missing_ok, follow_links=follow_links)

    def read(self, uri: str, *, etag: str | None = None, size: int | None = None, limit: int | None = None) -> bytes:
        """The object's bytes, if it has the given etag and size, and at most `limit` bytes.

        Raises ObjectFault if this object is at fault, StoreUnavailable if the store is.
        """
        return self._of(uri).read(uri, etag=etag, size=size, limit=limit)

    def write(self, uri: str, data: bytes) -> None:
        """Write an object completely or not at all."""
        self._of(uri).write(uri, data)

    def create(self, uri: str, data: bytes) -> bool:
        """Write an object if it does not exist. Returns whether it was written.

        A store without conditional writes may overwrite a concurrent write, so read the object back.
        """
        return self._of(uri).create(uri, data)

    def upload(self, source: Path, uri: str) -> None:
        """Write a file of any size as an object, completely or not at all."""
        self._of(uri).upload(source, uri)

    def exists(self, uri: str) -> bool:
        """Whether there is such an object. It is then complete, since objects are written completely or not at all."""
        return self.stat(uri) is not None

    def stat(self, uri: str) -> StoredObject | None:
        """One object as a listing shows it, with its whole URI as the key; None if it does not exist."""
        return self._of(uri).stat(uri)

    def open(self, uri: str) -> IO[bytes]:
        """A seekable stream that fetches only the ranges that are read. Raises ObjectMissing."""
        return self._of(uri).open(uri)

    def delete(self, uris: list[str]) -> None:
        """Delete objects; missing ones are ignored. Raises NotDeleted for those that the store refuses to delete."""
        remote = [uri for uri in uris if local_path(uri) is None]
        here = [uri for uri in uris if local_path(uri) is not None]
        if here:
            self._local.delete(here)
        if remote:
            self._s3.delete(remote)

    def try_delete(self, uris: list[str]) -> list[str]:
        """Delete objects as `delete` does. Returns the URIs of those that the store refuses to delete."""
        kept: list[str] = []
        for uri_is_local in (True, False):
            some = [uri for uri in uris if (local_path(uri) is not None) is uri_is_local]
            try:
                self.delete(some)
            except NotDeleted as error:
                kept += error.uris
        return kept

    def delete_under(self, prefix: str) -> None:
        """Delete everything under a prefix that ends in `/`. Raises NotDeleted for what the store refuses to delete."""
        self._of(prefix).delete_under(prefix)
