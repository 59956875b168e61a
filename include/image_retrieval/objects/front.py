"""Picks the store by the scheme and bucket of a URI."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import IO

from image_retrieval.errors import UserError
from image_retrieval.objects.access import Access, access, entry_name
from image_retrieval.objects.base import ANEW, NotDeleted, Objects, Page, StoredObject, delete_all
from image_retrieval.objects.local import LocalObjects
from image_retrieval.objects.uris import local_path
from image_retrieval.settings import Settings


class ObjectStore:
    """Reads, writes and lists objects. Create one per process: its clients keep connections open.

    The methods raise the errors of `base`, all of them UserErrors, and UserError for an unknown scheme.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._local = LocalObjects(local_path(settings.work_uri))
        self._stores: dict[str, Objects] = {}  # by the entry of the settings
        self._lock = Lock()

    def _of(self, uri: str) -> Objects:
        if local_path(uri) is not None:
            return self._local
        name = entry_name(uri, self._settings)
        with self._lock:
            if name not in self._stores:
                self._stores[name] = _store(access(name, self._settings))
            return self._stores[name]

    def access(self, uri: str) -> Access | None:
        """How the store of a URI is reached; None for this machine. Raises UserError if a setting is missing."""
        return None if local_path(uri) is not None else access(entry_name(uri, self._settings), self._settings)

    def pages(
        self,
        prefix: str,
        *,
        missing_ok: bool = False,
        follow_links: bool = False,
        cuts: Sequence[str] | None = None,
    ) -> Iterator[Page]:
        """Pages of the objects under a prefix that ends in `/`, in the store's own order.

        Yields all objects or raises an error at the end; a store may list an object twice. Raises UserError if a folder
        or bucket does not exist; `missing_ok`: a missing folder counts as empty. `follow_links`: list linked folders,
        too, each once. `cuts`: list ranges of an S3 bucket at once; the URIs, which may be none, say where to divide
        it, so that each range takes about seven pages. Such a listing may begin again, which the page ANEW tells.
        """
        return self._of(prefix).pages(prefix, missing_ok=missing_ok, follow_links=follow_links, cuts=cuts)

    def pages_behind(self, prefix: str, behind: str, cuts: Sequence[str]) -> Iterator[Page]:
        """Pages of a bucket's objects under a prefix whose URIs are greater than another one; else as `pages`.

        Where the listing begins again, it does so at its first object.
        """
        from image_retrieval.objects.s3 import S3Objects

        objects = self._of(prefix)
        if isinstance(objects, S3Objects):
            yield from objects.pages_behind(prefix, behind, cuts)
            return
        again = False
        for page in objects.pages(prefix, missing_ok=False, follow_links=False, cuts=cuts):
            again = again or page is ANEW
            if again or (rest := [entry for entry in page if entry.uri > behind]):
                yield page if again else rest

    def read(self, uri: str, *, etag: str | None = None, size: int | None = None, limit: int | None = None) -> bytes:
        """The object's bytes, if it has the given etag and size, and at most `limit` bytes.

        Raises ObjectFault if this object is at fault, StoreUnavailable if the store is.
        """
        return self._of(uri).read(uri, etag=etag, size=size, limit=limit)

    def read_range(self, uri: str, span: tuple[int, int], *, etag: str, limit: int | None = None) -> bytes:
        """Bytes [start, stop) of an object, if it has the given etag. Raises as `read`.

        A store that ignores ranges sends the whole object: then it may have at most `limit` bytes.
        """
        return self._of(uri).read_range(uri, span, etag=etag, limit=limit) if span[0] < span[1] else b""

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

    def user_metadata(self, uri: str) -> tuple[StoredObject, dict[str, str]] | None:
        """An object, and the metadata that was written with it; None if it does not exist. A file has none."""
        return self._of(uri).user_metadata(uri)

    def tags(self, uri: str) -> dict[str, str] | None:
        """The tags of an object, which change without its version; None if it does not exist. A file has none."""
        return self._of(uri).tags(uri)

    def open(self, uri: str) -> IO[bytes]:
        """A seekable stream that fetches only the ranges that are read. Raises ObjectMissing."""
        return self._of(uri).open(uri)

    def delete(self, uris: list[str]) -> None:
        """Delete objects; missing ones are ignored. Raises NotDeleted for those that the store refuses to delete."""
        by_store: dict[Objects, list[str]] = {}
        for uri in uris:
            by_store.setdefault(self._of(uri), []).append(uri)
        delete_all(by_store.items())

    def try_delete(self, uris: list[str]) -> list[str]:
        """Delete objects as `delete` does. Returns the URIs of those that the store refuses to delete."""
        try:
            self.delete(uris)
        except NotDeleted as error:
            return error.uris
        return []

    def delete_under(self, prefix: str) -> None:
        """Delete everything under a prefix that ends in `/`. Raises NotDeleted for what the store refuses to delete."""
        self._of(prefix).delete_under(prefix)


def _store(place: Access) -> Objects:
    """The store of an entry. Raises UserError that names the wrong setting, or the packages that are missing."""
    try:
        match place.dialect.protocol:  # imported only here: boto3 takes a third of a second, Azure's packages more
            case "gs":
                from image_retrieval.objects.gs import GsObjects

                return GsObjects(place)
            case "az":
                from image_retrieval.objects.az import AzObjects

                return AzObjects(place)
    except ImportError:
        raise UserError(
            f"{place.dialect.title} needs packages that are not installed: "
            "pip install azure-identity azure-storage-blob 'google-auth[requests]'"
        ) from None
    from image_retrieval.objects.s3 import S3Objects

    return S3Objects(place)
