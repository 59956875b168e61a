"""Files and folders that only their owner may read from the moment they are created."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from image_retrieval.errors import UserError

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, completely or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # left by a killed process with the same id
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
        with os.fdopen(os.open(partial, flags, 0o600), "w") as stream:
            stream.write(text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def open_private(path: Path) -> int:
    """Open a file for appending, and create it if it is missing. Raises OSError if it is a link."""
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.fchmod(file, 0o600)  # it may have existed with other rights
    return file


def make_private_folder(path: Path) -> None:
    """Create a folder that only its owner may enter; an existing one gets these rights."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def open_private_folder(path: Path) -> int:
    """Open a folder in a shared place, and create it if it is missing.

    Raises UserError if it is a link, belongs to another user, or is open to others.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # a link, a file, or somebody else's folder
        raise UserError(f"{path} is not your own folder: remove it, or set TMPDIR to your own folder") from None
    found = os.fstat(folder)
    if found.st_uid != os.geteuid() or found.st_mode & OTHERS:
        os.close(folder)
        raise UserError(f"{path} is open to other users: remove it, or set TMPDIR to your own folder")
    return folder


def close_to_others(*paths: Path) -> None:
    """Remove the rights of other users on these files and folders, and on everything inside.

    Files of other users, and targets of links, stay as they are.
    """
    for path in paths:
        if _close(path):
            for place, folders, files in os.walk(path):
                folders[:] = [name for name in folders if _close(Path(place, name))]
                for name in files:
                    _close(Path(place, name))


def keep_others_from_writing(folder: Path) -> None:
    """Remove other users' right to create or replace files in a folder; a shared one like /tmp stays as it is."""
    found = folder.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        folder.chmod(stat.S_IMODE(found.st_mode) & ~0o022)


def _close(path: Path) -> bool:
    """Close one file or folder. Returns whether it is this user's."""
    try:
        found = path.lstat()
        if found.st_uid != os.geteuid() or stat.S_ISLNK(found.st_mode):
            return False
        if found.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    except FileNotFoundError:  # running services create and remove files meanwhile
        return False
    return True
