"""Objects named by URI: `s3://bucket/key` in any S3 store, `file:///path` on this machine."""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from image_retrieval.errors import ImageRejected, Reason, Unavailable, UserError
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "Forbidden", "401", "403"}
MISSING = {"NoSuchKey", "404", "NotFound"}
CHANGED = {"PreconditionFailed", "412"}
S3_SETTINGS = "IMAGE_RETRIEVAL_S3_ENDPOINT_URL, …_S3_ACCESS_KEY_ID and …_S3_SECRET_ACCESS_KEY"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing tells of one object; `key` is relative to the listed prefix, `size` in bytes."""

    uri: str
    key: str
    etag: str
    size: int
    last_modified: datetime


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def local_path(uri: str) -> Path | None:
    """The path of a file:// URI or of a plain path; None for s3://. Raises UserError for another scheme."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return Path(uri)
    if scheme not in ("s3", "file"):
        raise UserError(f"{uri} is of the unknown scheme {scheme!r}: known are s3:// and file://")
    return Path(rest) if scheme == "file" else None


class ObjectStore:
    """Reads, writes and lists objects. One per process: its client keeps connections open."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def _s3(self) -> "S3Client":
        import boto3
        from botocore.config import Config

        settings = self._settings
        key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=settings.s3_endpoint_url or None,
            region_name=settings.s3_region or ("us-east-1" if settings.s3_endpoint_url else None),
            aws_access_key_id=(key.get_secret_value() or None) if key else None,
            aws_secret_access_key=(secret.get_secret_value() or None) if secret else None,
            config=Config(
                max_pool_connections=64,
                connect_timeout=settings.s3_timeout_seconds,
                read_timeout=settings.s3_timeout_seconds,
                retries={"mode": "standard", "total_max_attempts": 4},
                # other S3 stores know neither of the checksums that newer clients send and ask for unasked
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        return client

    @contextmanager
    def _explained(self, uri: str) -> Iterator[None]:
        """Turn what the client raises into what a user can mend, or into a rejection of this one object."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        bucket, _ = split_s3(uri)
        place = self._settings.s3_endpoint_url or "AWS"
        try:
            yield
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code == "NoSuchBucket":
                raise UserError(
                    f"bucket {bucket!r} does not exist at {place}: create it, or correct the URI {uri}"
                ) from None
            if code in REFUSED:
                raise AccessRefused(f"{place} refuses access to {uri} ({code}): check {S3_SETTINGS}") from None
            if code in MISSING:
                raise ImageRejected(Reason.NOT_FOUND, uri) from None
            if code in CHANGED:
                raise ImageRejected(Reason.CHANGED_WHILE_READING, uri) from None
            if status >= 500 or status == 429:
                raise Unavailable(f"the object store at {place} fails at {uri} ({code}): try again later") from None
            raise ImageRejected(Reason.UNREACHABLE, f"{uri}: {code}") from None
        except NoCredentialsError:
            raise AccessRefused(f"no credentials for {uri}: set {S3_SETTINGS}") from None
        except BotoCoreError as error:
            raise Unavailable(
                f"the object store at {place} does not answer ({type(error).__name__}): is it up? "
                f"`make up` starts the embedded one; check {S3_SETTINGS} for another"
            ) from None

    def pages(self, prefix: str, *, missing_ok: bool = False) -> Iterator[list[StoredObject]]:
        """Pages of the objects under a prefix that ends in `/`, sorted by key within the store's own order.

        Raises UserError where a folder or bucket does not exist; `missing_ok`: no folder is an empty one.
        """
        folder = local_path(prefix)
        if folder is not None:
            if not missing_ok or folder.is_dir():
                yield from _list_folder(folder, prefix)
            return
        bucket, start = split_s3(prefix)
        with self._explained(prefix):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start):
                yield [
                    StoredObject(
                        uri=f"s3://{bucket}/{entry['Key']}",
                        key=entry["Key"][len(start) :],
                        etag=entry["ETag"].strip('"'),
                        size=entry["Size"],
                        last_modified=entry["LastModified"],
                    )
                    for entry in page.get("Contents", [])
                ]

    def read(self, uri: str, *, etag: str | None = None, limit: int | None = None) -> bytes:
        """The object's bytes; where an etag is given, only if it still has it; with a limit, no more bytes than that.

        Raises ImageRejected (not_found, changed_while_reading, too_large, unreachable), UserError (access, bucket).
        """
        path = local_path(uri)
        if path is not None:
            return _read_file(path, etag)
        bucket, key = split_s3(uri)
        condition: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {}
        with self._explained(uri):
            answer = self._s3.get_object(Bucket=bucket, Key=key, **condition)
            with answer["Body"] as body:
                if limit is not None and answer["ContentLength"] > limit:
                    detail = f"{uri} has {answer['ContentLength']} bytes, over the limit of {limit}"
                    raise ImageRejected(Reason.TOO_LARGE, detail)
                return bytes(body.read())

    def write(self, uri: str, data: bytes) -> None:
        """Write an object whole or not at all."""
        path = local_path(uri)
        if path is not None:
            _write_file(path, io.BytesIO(data))
            return
        bucket, key = split_s3(uri)
        with self._explained(uri):
            self._s3.put_object(Bucket=bucket, Key=key, Body=data)

    def upload(self, source: Path, uri: str) -> None:
        """Write a file of any size as an object, whole or not at all."""
        path = local_path(uri)
        if path is not None:
            with source.open("rb") as stream:
                _write_file(path, stream)
            return
        from boto3.exceptions import S3UploadFailedError

        bucket, key = split_s3(uri)
        with self._explained(uri):
            try:
                self._s3.upload_file(str(source), bucket, key)
            except S3UploadFailedError as error:
                raise error.__cause__ or error.__context__ or error from None

    def exists(self, uri: str) -> bool:
        """Whether there is such an object; since objects are written whole, whether it is whole."""
        return self.stat(uri) is not None

    def stat(self, uri: str) -> StoredObject | None:
        """What a listing would tell of one object, its whole URI as the key; None where there is none."""
        path = local_path(uri)
        if path is not None:
            if not path.is_file():
                return None
            status = path.stat()
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            return StoredObject(uri, uri, file_etag(path), status.st_size, modified)
        bucket, key = split_s3(uri)
        try:
            with self._explained(uri):
                found = self._s3.head_object(Bucket=bucket, Key=key)
        except ImageRejected as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        return StoredObject(uri, uri, found["ETag"].strip('"'), found["ContentLength"], found["LastModified"])

    def open(self, uri: str) -> IO[bytes]:
        """A seekable stream that fetches only the ranges that are read. Raises UserError where there is none."""
        path = local_path(uri)
        found = self.stat(uri)
        if found is None:
            raise UserError(f"{uri} does not exist: run the stage that writes it, or the whole run, again")
        if path is not None:
            return path.open("rb")
        bucket, key = split_s3(uri)

        def fetch(start: int, stop: int) -> bytes:
            with self._explained(uri):
                part = self._s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{stop - 1}")
                return bytes(part["Body"].read())

        return io.BufferedReader(_RangeReader(found.size, fetch), buffer_size=2**20)

    def delete(self, uris: list[str]) -> None:
        """Delete objects; those that are not there do not matter."""
        remote = [uri for uri in uris if local_path(uri) is None]
        for uri in uris:
            path = local_path(uri)
            if path is not None:
                path.unlink(missing_ok=True)
        for start in range(0, len(remote), 1000):
            batch = remote[start : start + 1000]
            with self._explained(batch[0]):
                self._s3.delete_objects(
                    Bucket=split_s3(batch[0])[0],
                    Delete={"Objects": [{"Key": split_s3(uri)[1]} for uri in batch], "Quiet": True},
                )

    def delete_under(self, prefix: str) -> None:
        """Delete everything under a prefix that ends in `/`."""
        folder = local_path(prefix)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for page in self.pages(prefix):
            self.delete([entry.uri for entry in page])


class AccessRefused(UserError):
    """The credentials do not open an object or a bucket."""


class _RangeReader(io.RawIOBase):
    """A read-only, seekable stream over a function that fetches bytes [start, stop)."""

    def __init__(self, size: int, fetch: Any) -> None:
        self._size, self._fetch, self._at = size, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        data = self._fetch(self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def file_etag(path: Path) -> str:
    """What takes an etag's place for a file: it changes whenever the file is written."""
    status = path.stat()
    return hashlib.sha256(f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}".encode()).hexdigest()[:32]


def _list_folder(folder: Path, prefix: str) -> Iterator[list[StoredObject]]:
    if not folder.is_dir():
        raise UserError(f"folder {folder} does not exist: create it, or correct the URI {prefix}")
    for place, folders, names in os.walk(folder):
        folders.sort()
        page = []
        for path in (Path(place, name) for name in sorted(names)):
            if not path.is_file():  # a link to nothing, or gone by now
                continue
            status, key = path.stat(), path.relative_to(folder).as_posix()
            modified = datetime.fromtimestamp(status.st_mtime, UTC)
            page.append(StoredObject(prefix + key, key, file_etag(path), status.st_size, modified))
        yield page


def _read_file(path: Path, etag: str | None) -> bytes:
    try:
        data = path.read_bytes()
        if etag is not None and file_etag(path) != etag:
            raise ImageRejected(Reason.CHANGED_WHILE_READING, str(path))
        return data
    except FileNotFoundError:
        raise ImageRejected(Reason.NOT_FOUND, str(path)) from None
    except PermissionError:
        raise AccessRefused(f"no permission to read {path}") from None
    except OSError as error:
        raise ImageRejected(Reason.UNREACHABLE, f"{path}: {error.strerror}") from None


def _write_file(path: Path, stream: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as target:
            shutil.copyfileobj(stream, target)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
