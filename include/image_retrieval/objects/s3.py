"""Objects of stores that speak S3: `s3://bucket/key`, `oss://bucket/key`, …"""

import http.client
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import urllib3
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from image_retrieval.objects.access import Access
from image_retrieval.objects.base import (
    ListingIncomplete,
    NotDeleted,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectTooLarge,
    ObjectUnreadable,
    Page,
    StoredObject,
    StoreUnavailable,
    delete_all,
)
from image_retrieval.objects.ranges import RangeReader
from image_retrieval.objects.retrying import Broken, again
from image_retrieval.objects.s3_client import s3_client
from image_retrieval.objects.s3_errors import MISSING, NOT_CONDITIONAL, OVERTAKEN, code_of, explained, is_doubtful
from image_retrieval.objects.s3_listing import Ask, pages, plain_etag, require_told_whether_cut
from image_retrieval.objects.s3_plain import take_plain_entries
from image_retrieval.objects.s3_ranges import pages_at_once
from image_retrieval.objects.uris import root_of, split_s3

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

T = TypeVar("T")
AT_ONCE = 1000  # objects that one request may delete
BUFFER = 2**20  # bytes: the least that a stream fetches
# the errors of each layer that may notice a broken connection
BREAKS = (BotoCoreError, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
BROKEN_UPLOADS = {"IncompleteBody", "BadDigest", "RequestTimeout"}
PLAIN = re.compile("[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")  # characters that XML can hold


class S3Objects:
    """Reads, writes and lists objects of one store. The client retries requests that fail before an answer begins."""

    def __init__(self, access: Access) -> None:
        self._client: S3Client = s3_client(access)
        self._place = access
        for operation in ("ListObjectsV2", "ListObjects"):
            self._client.meta.events.register(f"before-parse.s3.{operation}", require_told_whether_cut)
            # the form of this name comes before botocore's `before-parse.s3.*`, which parses all that an answer holds
            self._client.meta.events.register_first(f"before-parse.*.{operation}", take_plain_entries)

    def pages(
        self,
        prefix: str,
        *,
        missing_ok: bool,  # noqa: ARG002
        follow_links: bool,  # noqa: ARG002
        cuts: Sequence[str] | None,
    ) -> Iterator[Page]:
        return self._listed(
            prefix, lambda ask: pages(ask, prefix) if cuts is None else pages_at_once(ask, prefix, cuts)
        )

    def pages_behind(self, prefix: str, behind: str, cuts: Sequence[str]) -> Iterator[Page]:
        """Pages of the objects whose URIs are greater than `behind`; else as `pages`."""
        return self._listed(prefix, lambda ask: pages_at_once(ask, prefix, cuts, behind))

    def _listed(self, prefix: str, read: Callable[[Ask], Iterator[Page]]) -> Iterator[Page]:
        """The pages that `read` makes of the store's answers."""
        bucket, start = split_s3(prefix)
        asked = {"Bucket": bucket, "Prefix": start, "EncodingType": "url"}

        def once(version: int, parameters: dict[str, Any]) -> dict[str, Any]:
            ask: Callable[..., Any] = self._client.list_objects_v2 if version == 2 else self._client.list_objects
            try:
                return dict(ask(**asked, **parameters))
            except ListingIncomplete as error:  # perhaps a proxy's answer
                raise Broken(str(error)) from None
            except (ResponseParserError, ValueError) as error:
                raise Broken(f"an answer cannot be read ({type(error).__name__})") from None

        def ask(version: int, **parameters: Any) -> dict[str, Any]:
            with explained(prefix, self._place):
                try:
                    return again(lambda: once(version, parameters), prefix)
                except Broken as broken:
                    raise ListingIncomplete(str(broken)) from None

        try:
            yield from read(ask)
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
        bucket, key = split_s3(uri)
        condition: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {}
        if span is not None:
            condition["Range"] = f"bytes={span[0]}-{span[1] - 1}"

        def once() -> bytes:
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key, **condition)
            except ClientError as error:
                if size is not None and is_doubtful(error):  # for a listed object, others can be tried to decide
                    raise ObjectUnreadable(f"{self._place} fails at {uri} ({code_of(error)})") from None
                raise
            message = answer.get("ContentLength")
            with closing(answer["Body"]) as body:
                if limit is not None and message is not None and message > limit:
                    raise ObjectTooLarge(f"{uri} has {message} bytes, over the limit of {limit}")
                try:
                    data = bytes(body.read() if limit is None else body.read(limit + 1))
                except BREAKS as error:
                    raise Broken(f"its body ended early ({type(error).__name__})") from None
            if limit is not None and len(data) > limit:
                raise ObjectTooLarge(f"{uri} has more than the limit of {limit} bytes")
            if message is not None and len(data) != message:
                raise Broken(f"{len(data)} of {message} bytes arrived")
            if etag and "ETag" not in answer:  # perhaps a proxy's page
                raise Broken("an answer without an ETag is not an object of the store")
            # some stores ignore the condition
            if etag and plain_etag(answer["ETag"]) != etag:
                raise ObjectChanged(f"{uri} is not the version that was listed")
            if span is not None:
                data = data if "ContentRange" in answer else data[slice(*span)]
                if len(data) != span[1] - span[0]:
                    raise Broken(f"{len(data)} of {span[1] - span[0]} bytes arrived")
            if size is not None and len(data) != size:
                raise Broken(f"{len(data)} bytes arrived, but {size} were listed")
            return data

        with explained(uri, self._place):
            return again(once, uri)

    def write(self, uri: str, data: bytes) -> None:
        bucket, key = split_s3(uri)
        with explained(uri, self._place):
            self._sent(uri, lambda: self._client.put_object(Bucket=bucket, Key=key, Body=data))

    def create(self, uri: str, data: bytes) -> bool:
        if self.stat(uri) is not None:
            return False
        bucket, key = split_s3(uri)
        with explained(uri, self._place):
            try:
                self._client.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) in OVERTAKEN:
                    return False
                if code_of(error) not in NOT_CONDITIONAL:
                    raise
                self._client.put_object(Bucket=bucket, Key=key, Body=data)
        return True

    def upload(self, source: Path, uri: str) -> None:
        bucket, key = split_s3(uri)

        def once() -> None:
            try:
                self._client.upload_file(str(source), bucket, key)
            except S3UploadFailedError as error:
                raise error.__cause__ or error.__context__ or error from None

        with explained(uri, self._place):
            self._sent(uri, once)

    def _sent(self, uri: str, work: Callable[[], object]) -> None:
        def once() -> None:
            try:
                work()
            except ClientError as error:
                if code_of(error) in BROKEN_UPLOADS:
                    raise Broken(code_of(error)) from None
                raise

        try:
            again(once, uri)
        except Broken as broken:
            message = f"{uri} did not reach the object store at {self._place} completely ({broken}): try again later"
            raise StoreUnavailable(message) from None

    def stat(self, uri: str) -> StoredObject | None:
        found = self.user_metadata(uri)
        return found[0] if found else None

    def user_metadata(self, uri: str) -> tuple[StoredObject, dict[str, str]] | None:
        bucket, key = split_s3(uri)
        try:
            with explained(uri, self._place):
                told = self._client.head_object(Bucket=bucket, Key=key)
        except ObjectMissing:
            return None
        found = StoredObject(uri, uri, plain_etag(told.get("ETag")), told["ContentLength"], told["LastModified"])
        return found, told.get("Metadata", {})

    def tags(self, uri: str) -> dict[str, str] | None:
        bucket, key = split_s3(uri)
        try:
            with explained(uri, self._place):
                told = self._client.get_object_tagging(Bucket=bucket, Key=key)
        except ObjectMissing:
            return None
        return {tag["Key"]: tag["Value"] for tag in told["TagSet"]}

    def open(self, uri: str) -> IO[bytes]:
        found = self.stat(uri)
        if found is None:
            raise ObjectMissing(f"{uri} does not exist: run the stage that writes it, or the whole run, again")
        etag = found.etag

        def fetch(start: int, stop: int) -> bytes:
            return self._fetched(uri, etag, None, None, (start, stop))

        return io.BufferedReader(RangeReader(found.size, fetch), buffer_size=BUFFER)

    def delete(self, uris: list[str]) -> None:
        refused: dict[str, str] = {}
        by_bucket: dict[str, list[str]] = {}
        for uri in uris:
            by_bucket.setdefault(root_of(uri), []).append(split_s3(uri)[1])
        for bucket, keys in by_bucket.items():
            plain = [key for key in keys if PLAIN.fullmatch(key)]
            for start in range(0, len(plain), AT_ONCE):
                refused |= self._deleted(bucket, plain[start : start + AT_ONCE])
            for key in set(keys).difference(plain):  # a list of keys in XML cannot contain these
                try:
                    with explained(f"{bucket}{key}", self._place):
                        self._client.delete_object(Bucket=split_s3(bucket)[0], Key=key)
                except ObjectFault as error:
                    refused[f"{bucket}{key}"] = type(error).__name__
        if refused:
            uri, code = next(iter(refused.items()))
            raise NotDeleted(
                f"{self._place} did not delete {len(refused)} of {len(uris)} objects, such as {uri} ({code}): "
                "check the rights of the keys, and whether the bucket has an object lock",
                list(refused),
            )

    def _deleted(self, bucket: str, keys: list[str]) -> dict[str, str]:
        """Delete objects of a bucket, given by its URI. Returns those that are refused, each with its error code."""
        with explained(f"{bucket}{keys[0]}", self._place):
            answer = self._client.delete_objects(
                Bucket=split_s3(bucket)[0], Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        return {
            f"{bucket}{error.get('Key', '')}": error.get("Code", "")
            for error in answer.get("Errors", [])
            if error.get("Code") not in MISSING
        }

    def delete_under(self, prefix: str) -> None:
        pages = self.pages(prefix, missing_ok=True, follow_links=False, cuts=None)
        delete_all((self, [entry.uri for entry in page]) for page in pages)
