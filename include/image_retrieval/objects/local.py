"""Objects of this machine: `file:///path`, or a plain path."""

import hashlib
import io
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from image_retrieval.batches import in_batches
from image_retrieval.errors import UserError
from image_retrieval.objects import local_errors
from image_retrieval.objects.base import (
    NotDeleted,
    ObjectChanged,
    ObjectMissing,
    ObjectTooLarge,
    ObjectUnreadable,
    Page,
    StoredObject,
)
from image_retrieval.objects.local_listing import walk
from image_retrieval.objects.retrying import Broken, again
from image_retrieval.objects.uris import local_path

PAGE = 10_000  # files of a page
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LocalObjects:
    """Files under folders. A written file appears completely or not at all.

    `work` is the project's work folder; links in a source may not lead into it.
    """

    def __init__(self, work: Path | None = None) -> None:
        self._work = work

    def pages(
        self,
        prefix: str,
        *,
        missing_ok: bool,
        follow_links: bool,
        cuts: Sequence[str] | None,  # noqa: ARG002
    ) -> Iterator[Page]:
        folder = _path(prefix)
        try:
            for files in walk(str(folder), follow_links=follow_links, but=self._work if follow_links else None):
                for some in in_batches(files, PAGE):
                    yield [_described(prefix + file.key, file.key, file.status) for file in some]
        except OSError:
            if not missing_ok:
                name = local_errors.printable(folder)
                raise UserError(f"folder {name} does not exist: create it, or correct its URI") from None

    def read(self, uri: str, *, etag: str | None, size: int | None, limit: int | None) -> bytes:  # noqa: ARG002
        return self._tried(uri, lambda path: _read(path, etag, limit))

    def read_range(self, uri: str, span: tuple[int, int], *, etag: str, limit: int | None) -> bytes:  # noqa: ARG002
        return self._tried(uri, lambda path: _read(path, etag, None, span))

    def _tried(self, uri: str, work: Callable[[Path], bytes]) -> bytes:
        path = _path(uri)

        def once() -> bytes:
            try:
                return work(path)
            except OSError as error:
                if error.errno in local_errors.BREAKS:
                    raise Broken(error.strerror or "it broke off") from None
                raise

        with local_errors.reading(path):
            try:
                return again(once, uri)
            except Broken as broken:
                raise ObjectUnreadable(f"{local_errors.printable(path)}: {broken}") from None

    def write(self, uri: str, data: bytes) -> None:
        _write(_path(uri), io.BytesIO(data))

    def create(self, uri: str, data: bytes) -> bool:
        with local_errors.writing(_path(uri)):
            return _create(_path(uri), data)

    def upload(self, source: Path, uri: str) -> None:
        with source.open("rb") as stream:
            _write(_path(uri), stream)

    def stat(self, uri: str) -> StoredObject | None:
        path = _path(uri)
        try:
            with local_errors.reading(path):
                status = path.stat()
        except ObjectMissing:
            return None
        return _described(uri, uri, status) if stat.S_ISREG(status.st_mode) else None

    def user_metadata(self, uri: str) -> tuple[StoredObject, dict[str, str]] | None:
        found = self.stat(uri)
        return None if found is None else (found, {})

    def tags(self, uri: str) -> dict[str, str] | None:
        return None if self.stat(uri) is None else {}

    def open(self, uri: str) -> IO[bytes]:
        if self.stat(uri) is None:
            raise ObjectMissing(f"{uri} does not exist: run the stage that writes it, or the whole run, again")
        path = _path(uri)
        with local_errors.reading(path):
            return path.open("rb")

    def delete(self, uris: list[str]) -> None:
        refused: dict[str, str] = {}
        for uri in uris:
            try:
                with local_errors.writing(_path(uri)):
                    _path(uri).unlink(missing_ok=True)
            except UserError as error:
                refused[uri] = str(error)
        _require_deleted(refused, len(uris))

    def delete_under(self, prefix: str) -> None:
        folder = _path(prefix)
        refused: dict[str, str] = {}

        def note(_: Any, path: str, failed: Any) -> None:
            if not isinstance(failed[1], FileNotFoundError):
                refused[path] = str(failed[1].strerror or failed[0].__name__)

        try:
            with os.scandir(folder) as entries:
                found = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise local_errors.of_listing(error, str(folder)) from None
        for path, is_folder in found:
            if is_folder:
                shutil.rmtree(path, onerror=note)
                continue
            try:
                Path(path).unlink(missing_ok=True)
            except OSError as error:
                refused[path] = error.strerror or type(error).__name__
        _require_deleted(refused, len(found))
        with suppress(OSError):  # it may be a link, or somebody may write into it
            folder.rmdir()


def file_etag(path: Path) -> str:
    """A file's substitute for an etag: it changes whenever the file is written."""
    return etag_of(path.stat())


def etag_of(status: os.stat_result) -> str:
    """The same from a file's status."""
    return hashlib.sha256(f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}".encode()).hexdigest()[:32]


def _path(uri: str) -> Path:
    path = local_path(uri)
    assert path is not None
    return path


def _described(uri: str, key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(uri, key, etag_of(status), status.st_size, _modified(status))


def _modified(status: os.stat_result) -> datetime:
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):  # a broken clock wrote it
        return EPOCH


def _read(path: Path, etag: str | None, limit: int | None, span: tuple[int, int] | None = None) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # opening a pipe would block
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ObjectUnreadable(f"{local_errors.printable(path)} is not a file")
    with os.fdopen(handle, "rb") as stream:
        if limit is not None and status.st_size > limit:
            raise ObjectTooLarge(
                f"{local_errors.printable(path)} has {status.st_size} bytes, over the limit of {limit}"
            )
        stream.seek(span[0] if span else 0)
        data = stream.read(span[1] - span[0] if span else -1)
        if etag is not None and {etag_of(status), etag_of(os.fstat(handle))} != {etag}:
            raise ObjectChanged(f"{local_errors.printable(path)} is not the version that was listed")
        if span is not None and len(data) != span[1] - span[0]:
            raise Broken(f"{len(data)} of {span[1] - span[0]} bytes were read")
    return data


def _write(path: Path, stream: IO[bytes]) -> None:
    # its length does not depend on the name's length
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    with local_errors.writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as target:
                shutil.copyfileobj(stream, target)
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _create(path: Path, data: bytes) -> bool:
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        partial.write_bytes(data)
        path.hardlink_to(partial)  # completely or not at all, and never over an existing file
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if path.exists():
            return False
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return True


def _require_deleted(refused: dict[str, str], asked: int) -> None:
    if refused:
        name, message = next(iter(refused.items()))
        raise NotDeleted(
            f"{len(refused)} of {asked} files were not deleted, such as {local_errors.printable(name)}: {message}",
            list(refused),
        )
