"""Objects of Azure Blob Storage: `az://container/key`."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import IO, Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ResourceExistsError,
)
from azure.storage.blob import BlobClient

from image_retrieval.objects.access import Access
from image_retrieval.objects.az_client import az_client
from image_retrieval.objects.az_errors import THERE, code_of, explained, is_doubtful
from image_retrieval.objects.az_listing import pages
from image_retrieval.objects.base import (
    ListingIncomplete,
    NameUnsupported,
    NotDeleted,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectTooLarge,
    ObjectUnreadable,
    StoredObject,
    delete_all,
)
from image_retrieval.objects.ranges import RangeReader
from image_retrieval.objects.retrying import Broken, again
from image_retrieval.objects.s3_listing import is_text, plain_etag
from image_retrieval.objects.uris import root_of, split_s3
from image_retrieval.redaction import redacted

BUFFER = 2**20  # bytes: the least that a stream fetches
DELETED_AT_ONCE = 16


class AzObjects:
    """Reads, writes and lists objects of one account. The client retries requests that fail before an answer begins."""

    def __init__(self, access: Access) -> None:
        self._client = az_client(access)
        self._place = access

    def _blob(self, uri: str) -> BlobClient:
        """The client of one object. Raises NameUnsupported where a request would name another one, or none."""
        container, key = split_s3(uri)
        parts = key.split("/")
        if not container or not key or not is_text(uri) or "\\" in key or "." in parts or ".." in parts:
            raise NameUnsupported(f"{redacted(uri)!a} is no name of an object in Azure: correct it")
        return self._client.get_blob_client(container, key)

    def pages(
        self,
        prefix: str,
        *,
        missing_ok: bool,  # noqa: ARG002
        follow_links: bool,  # noqa: ARG002
        cuts: Sequence[str] | None,  # noqa: ARG002
    ) -> Iterator[list[StoredObject]]:
        container, start = split_s3(prefix)
        try:
            with explained(prefix, self._place):
                yield from pages(self._client.get_container_client(container), root_of(prefix), start)
        except ListingIncomplete as error:
            raise ListingIncomplete(
                f"the object store at {self._place} does not list {prefix} completely: {error}; nothing was changed"
            ) from None

    def read(self, uri: str, *, etag: str | None, size: int | None, limit: int | None) -> bytes:
        return self._fetched(uri, etag, size, limit)

    def read_range(self, uri: str, span: tuple[int, int], *, etag: str, limit: int | None) -> bytes:
        return self._fetched(uri, etag, span[1] - span[0], limit, span)

    def _fetched(
        self, uri: str, etag: str | None, size: int | None, limit: int | None, span: tuple[int, int] | None = None
    ) -> bytes:
        """The bytes of an object, or bytes [start, stop) of it, if it has the given etag and size."""
        blob = self._blob(uri)
        options: dict[str, Any] = {}
        if etag:
            options |= {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified}
        if span is not None:
            options |= {"offset": span[0], "length": span[1] - span[0]}

        def once() -> bytes:
            try:
                answer = blob.download_blob(**options)
                if limit is not None and answer.size > limit:
                    raise ObjectTooLarge(f"{uri} has {answer.size} bytes, over the limit of {limit}")
                data = bytes(answer.readall())
            except (IncompleteReadError, DecodeError) as error:
                raise Broken(f"its body ended early ({type(error).__name__})") from None
            except ClientAuthenticationError:
                raise
            except HttpResponseError as error:
                if not code_of(error):  # what the client makes of a body that it has tried three times
                    raise ObjectUnreadable(f"{uri} broke off three times") from None
                if size is not None and is_doubtful(error):  # for a listed object, others can be tried to decide
                    raise ObjectUnreadable(f"{self._place} fails at {uri} ({code_of(error)})") from None
                raise
            if etag and plain_etag(answer.properties.etag) != etag:
                raise ObjectChanged(f"{uri} is not the version that was listed")
            expected = size if span is None else span[1] - span[0]
            if expected is not None and len(data) != expected:
                raise Broken(f"{len(data)} of {expected} bytes arrived")
            return data

        with explained(uri, self._place):
            return again(once, uri)

    def write(self, uri: str, data: bytes) -> None:
        with explained(uri, self._place):
            self._blob(uri).upload_blob(data, overwrite=True)

    def create(self, uri: str, data: bytes) -> bool:
        with explained(uri, self._place):
            try:
                self._blob(uri).upload_blob(data, overwrite=False)
            except ResourceExistsError as error:
                if code_of(error) in THERE:
                    return False
                raise
        return True

    def upload(self, source: Path, uri: str) -> None:
        with explained(uri, self._place), source.open("rb") as stream:
            self._blob(uri).upload_blob(stream, overwrite=True)

    def stat(self, uri: str) -> StoredObject | None:
        found = self.user_metadata(uri)
        return found[0] if found else None

    def user_metadata(self, uri: str) -> tuple[StoredObject, dict[str, str]] | None:
        try:
            with explained(uri, self._place):
                told = self._blob(uri).get_blob_properties()
        except ObjectMissing:
            return None
        found = StoredObject(uri, uri, plain_etag(told.etag), told.size, told.last_modified)
        return found, dict(told.metadata or {})

    def tags(self, uri: str) -> dict[str, str] | None:
        try:
            with explained(uri, self._place):
                return dict(self._blob(uri).get_blob_tags())
        except ObjectMissing:
            return None

    def open(self, uri: str) -> IO[bytes]:
        found = self.stat(uri)
        if found is None:
            raise ObjectMissing(f"{uri} does not exist: run the stage that writes it, or the whole run, again")
        etag = found.etag

        def fetch(start: int, stop: int) -> bytes:
            return self._fetched(uri, etag, None, None, (start, stop))

        return io.BufferedReader(RangeReader(found.size, fetch), buffer_size=BUFFER)

    def delete(self, uris: list[str]) -> None:
        if not uris:
            return
        with ThreadPoolExecutor(min(DELETED_AT_ONCE, len(uris)), thread_name_prefix="deleting") as pool:
            answers = pool.map(
                lambda uri, context: context.run(self._deleted, uri), uris, [copy_context() for _ in uris]
            )
            refused = {uri: told for uri, told in zip(uris, answers, strict=True) if told}
        if refused:
            uri, kind = next(iter(refused.items()))
            raise NotDeleted(
                f"{self._place} did not delete {len(refused)} of {len(uris)} objects, such as {uri} ({kind}): "
                f"check the rights of {self._place.settings}, and whether the container is immutable",
                list(refused),
            )

    def _deleted(self, uri: str) -> str | None:
        """Delete an object, with its snapshots. Returns why the store refuses, if it does."""
        try:
            with explained(uri, self._place):
                self._blob(uri).delete_blob(delete_snapshots="include")
        except ObjectMissing:
            return None
        except ObjectFault as error:
            return type(error).__name__
        return None

    def delete_under(self, prefix: str) -> None:
        pages = self.pages(prefix, missing_ok=True, follow_links=False, cuts=None)
        delete_all((self, [entry.uri for entry in page]) for page in pages)
