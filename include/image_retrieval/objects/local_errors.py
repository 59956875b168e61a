"""Turns the operating system's errors about files and folders into the errors of base.py."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.objects.base import (
    AccessRefused,
    NameUnsupported,
    ObjectMissing,
    ObjectUnreadable,
    StoreUnavailable,
)

GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
REFUSED = {errno.EACCES, errno.EPERM}
MISNAMED = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}
IN_THE_WAY = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR}
BREAKS = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN}  # of a network file system, which may recover
OF_THE_STORE = {errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EMFILE, errno.ENFILE}


def printable(path: str | Path) -> str:
    """A path as text, whatever bytes its name has."""
    return os.fsencode(path).decode(errors="backslashreplace")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise errors from reading a file as errors of base.py."""
    try:
        yield
    except OSError as error:
        name, message = printable(path), error.strerror or type(error).__name__
        if error.errno in GONE:
            raise ObjectMissing(f"{name} does not exist") from None
        if error.errno in REFUSED:
            raise AccessRefused(f"no permission to read {name}") from None
        if error.errno in MISNAMED:
            raise NameUnsupported(f"{name[:200]}…: {message}") from None
        if error.errno in OF_THE_STORE:
            raise StoreUnavailable(f"{name} cannot be read: {message}; try again later") from None
        raise ObjectUnreadable(f"{name}: {message}") from None
    except ValueError:  # a NUL character, or a lone surrogate
        raise NameUnsupported(f"{str(path)!a} is not a valid file name") from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise errors from writing or deleting a file as errors of base.py."""
    try:
        yield
    except OSError as error:
        name, message = printable(path), error.strerror or type(error).__name__
        if error.errno in MISNAMED:
            raise NameUnsupported(f"{name[:200]}… cannot be written: {message}") from None
        if error.errno in IN_THE_WAY:
            raise NameUnsupported(f"{name} cannot be written: a file or folder is in its way ({message})") from None
        if error.errno in REFUSED or error.errno == errno.EROFS:
            raise UserError(
                f"no permission to write {name}: give this process the right, or choose another folder"
            ) from None
        raise StoreUnavailable(f"{name} cannot be written: {message}; try again later") from None
    except ValueError:
        raise NameUnsupported(f"{str(path)!a} is not a valid file name") from None


def of_listing(error: OSError, folder: str) -> UserError:
    """The error that ends a folder's listing: files that cannot be listed would count as deleted."""
    message = error.strerror or type(error).__name__
    if error.errno in REFUSED:
        return AccessRefused(
            f"{printable(folder)} cannot be listed ({message}): nothing was changed; "
            "give this process the right to read it and its content"
        )
    return StoreUnavailable(f"{printable(folder)} cannot be listed ({message}): nothing was changed; try again later")
