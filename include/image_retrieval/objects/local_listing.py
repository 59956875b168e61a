"""Lists a folder completely, or raises an error, so that unreadable files do not count as deleted."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import structlog

from image_retrieval.errors import UserError
from image_retrieval.objects.local_errors import GONE, REFUSED, of_listing, printable

log = structlog.get_logger()
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
PARTS_AT_ONCE = 15  # of a path: 15 names of 255 bytes are within the system's limit
FOR_ROOT_ALONE = "lost+found"  # mkfs creates it at the root of a file system
Place = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file's path relative to the listed folder, and its status."""

    key: str
    status: os.stat_result


def walk(root: str, *, follow_links: bool, but: Path | None = None) -> Iterator[list[FoundFile]]:
    """The files under a folder, a list per folder, including linked files and, with `follow_links`, linked folders.

    A folder is listed once, by its own path if it lies under the root, else by the first link in order of path, so
    there are no circles. Files that vanish meanwhile, and links to nothing, are left out. Raises FileNotFoundError and
    NotADirectoryError for the root itself, AccessRefused and StoreUnavailable for unreadable folders and files, and
    UserError if a link leads into the folder `but`.
    """
    seen = set[Place]()
    links = list[str]()
    forbidden = _Forbidden(but)
    yield from _tree(root, "", seen, links, forbidden, again=True)
    if not follow_links:
        for link in links:
            log.warning("a linked folder is not followed", folder=printable(f"{root}/{link}"))
        return
    while links:
        links.sort()
        start = links.pop(0)
        forbidden.require_not_within(f"{root}/{start}")
        yield from _tree(root, start, seen, links, forbidden, again=False)


class _Forbidden:
    """The project's work folder, which must not be listed as a source, whichever path leads to it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder.resolve() if folder is not None and folder.is_dir() else None
        status = self._folder.stat() if self._folder is not None else None
        self.place = (status.st_dev, status.st_ino) if status is not None else None

    def require_not_within(self, path: str) -> None:
        """Raise UserError if a path is the folder, or lies in it."""
        if self._folder is not None and Path(path).resolve().is_relative_to(self._folder):
            raise self.refusal(path)

    def refusal(self, path: str) -> UserError:
        return UserError(
            f"{printable(path)} is the work folder {self._folder}, or in it: resampled pictures would be listed as new "
            "images; choose another IMAGE_RETRIEVAL_WORK_URI, remove the link, or set `follow_links: false`"
        )


def _tree(
    root: str, start: str, seen: set[Place], links: list[str], forbidden: _Forbidden, *, again: bool
) -> Iterator[list[FoundFile]]:
    """The files of one tree; its `links` are collected, not followed. `again`: list folders that were seen before."""
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        place, files, folders, linked = _folder(root, folder)
        if place is None or (place in seen and not again):
            if place is not None:
                log.info("a linked folder is already listed elsewhere", folder=printable(f"{root}/{folder}"))
            continue
        if place == forbidden.place:
            raise forbidden.refusal(f"{root}/{folder}")
        seen.add(place)
        if files:
            yield files
        links += linked
        waiting += reversed(folders)


def _folder(root: str, folder: str) -> tuple[Place | None, list[FoundFile], list[str], list[str]]:
    """A folder's place (None if it is gone), its files, its folders, and its links to folders, each in order."""
    path = f"{root}/{folder}" if folder else root
    files, folders, linked = list[FoundFile](), list[str](), list[str]()
    try:
        handle = _open_folder(path)
    except OSError as error:
        if not folder and error.errno in GONE:
            raise
        if error.errno in GONE or (error.errno in REFUSED and folder.rpartition("/")[2] == FOR_ROOT_ALONE):
            return None, files, folders, linked
        raise of_listing(error, path) from None
    try:
        here = os.fstat(handle)
        with os.scandir(handle) as entries:
            for entry in entries:
                key = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    status = entry.stat()
                except OSError as error:
                    if error.errno in GONE or error.errno == errno.ENAMETOOLONG:  # the latter from a link's target
                        continue
                    raise of_listing(error, f"{root}/{key}") from None
                if stat.S_ISREG(status.st_mode):
                    files.append(FoundFile(key, status))
                elif stat.S_ISDIR(status.st_mode):
                    (linked if entry.is_symlink() else folders).append(key)
    except OSError as error:
        raise of_listing(error, path) from None
    finally:
        os.close(handle)
    return (here.st_dev, here.st_ino), sorted(files, key=lambda file: file.key), sorted(folders), sorted(linked)


def _open_folder(path: str) -> int:
    """A folder's descriptor; opened in steps if its path exceeds the system's limit."""
    try:
        return os.open(path, FOLDER)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    parts = Path(path).parts
    handle = os.open("/" if path.startswith("/") else ".", FOLDER)
    for start in count(0, PARTS_AT_ONCE):
        if not (step := parts[start : start + PARTS_AT_ONCE]):
            return handle
        former = handle
        try:
            handle = os.open(str(Path(*step)), FOLDER, dir_fd=former)
        finally:
            os.close(former)
    raise AssertionError
