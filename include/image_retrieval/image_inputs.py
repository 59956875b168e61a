"""Reads the bytes of a picture: an object of a store, or a user's URL, base64, bytes or file."""

import base64
import binascii
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from image_retrieval import allowed
from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.objects import (
    AccessRefused,
    NameUnsupported,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    ObjectUnreadable,
    StoredObject,
    local_path,
)
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import is_object
from image_retrieval.settings import Settings
from image_retrieval.tar_uris import Place, place_of
from image_retrieval.values import printable

ImageSrcType = Literal["image_url", "image_base64", "image_binary"]
DATED = "modified:"  # begins the version of an object of which no ETag is told
IN_TABLE = "#id="  # divides a table and an id in the URI of an image that the table holds
BASE64_PIECE = 2**17  # characters, a multiple of four
REASONS: dict[type[ObjectFault], Reason] = {
    ObjectMissing: Reason.NOT_FOUND,
    ObjectChanged: Reason.CHANGED_WHILE_READING,
    ObjectTooLarge: Reason.TOO_LARGE,
    NameUnsupported: Reason.UNSUPPORTED_NAME,
    AccessRefused: Reason.ACCESS_DENIED,
    ObjectUnreadable: Reason.UNREACHABLE,
}


def stored_image(
    store: ObjectStore, uri: str, *, etag: str | None = None, size: int | None = None, limit: int | None = None
) -> bytes:
    """The bytes of a picture's object, as `ObjectStore.read` returns them.

    Raises ImageRejected if the object is at fault, and UserError if the store is.
    """
    try:
        return store.read(uri, etag=etag, size=size, limit=limit)
    except ObjectFault as fault:
        raise rejection_of(fault) from None


def is_url(uri: str) -> bool:
    """Whether a URI is an http(s) URL."""
    return uri.startswith(("http://", "https://"))


def listed_image(store: ObjectStore, uri: str, etag: str, size: int, settings: Settings) -> bytes:
    """The bytes of a picture that a source lists, at this version. Raises as `stored_image`.

    The size is 0 for a URL whose server does not tell it.
    """
    if place := place_of(uri, etag):
        return member_image(store, place, settings)
    if not is_url(uri):
        if etag.startswith(DATED):
            etag = _etag_of(store, uri, etag)
        return stored_image(store, uri, etag=etag, size=size)
    from image_retrieval.http_members import fetch_version

    return fetch_version(uri, etag, size, settings)


def member_image(store: ObjectStore, place: Place, settings: Settings) -> bytes:
    """The bytes of a picture in a tar. Raises as `stored_image`."""
    if place.size > settings.max_image_bytes:
        detail = f"{place.size} bytes are over the limit of {settings.max_image_bytes}"
        raise ImageRejected(Reason.TOO_LARGE, detail)
    try:
        span = place.offset, place.offset + place.size
        return store.read_range(place.tar, span, etag=place.etag, limit=settings.max_image_bytes)
    except ObjectFault as fault:
        raise rejection_of(fault) from None


def dated_version(modified: datetime, size: int) -> str:
    """The version of an object of which no ETag is told: when it was written, to the second, and its size."""
    return f"{DATED}{modified.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}/{size}"


def _etag_of(store: ObjectStore, uri: str, version: str) -> str:
    """The ETag of an object that has a dated version. Raises as `stored_image`."""
    found = stored_object(store, uri)
    if dated_version(found.last_modified, found.size) != version:
        raise ImageRejected(Reason.CHANGED_WHILE_READING, f"{uri} is not the version that was listed")
    return found.etag


def original(store: ObjectStore, uri: str, settings: Settings) -> bytes:
    """The bytes behind the URI of an image in the table, at whichever version. Raises ImageRejected and UserError."""
    if not is_url(uri):
        return stored_image(store, uri, limit=settings.max_image_bytes)
    from image_retrieval.http_fetch import fetch

    return fetch(uri, settings)


def stored_object(store: ObjectStore, uri: str) -> StoredObject:
    """A picture's object as a listing shows it. Raises as `stored_image`."""
    try:
        found = store.stat(uri)
    except ObjectFault as fault:
        raise rejection_of(fault) from None
    if found is None:
        raise ImageRejected(Reason.NOT_FOUND, f"{uri} does not exist")
    return found


def rejection_of(fault: ObjectFault) -> ImageRejected:
    """The rejection of a picture whose object the store refused."""
    return ImageRejected(REASONS[type(fault)], str(fault))


def image_bytes(image_src: str | bytes, image_src_type: ImageSrcType, settings: Settings) -> bytes:
    """The bytes of a picture from any of these sources, within the settings' limits.

    image_url: http(s):// (public addresses only, unless settings allow others) or s3://bucket/key, read with this
    machine's own keys; never a file of this machine. image_base64: base64, or a data: URL of it. image_binary: the
    bytes themselves. Raises ImageRejected (empty_file, too_large, not_found, access_denied, unreachable) and UserError.
    """
    if image_src_type == "image_binary":
        data = image_src.encode() if isinstance(image_src, str) else image_src
    else:
        text = image_src if isinstance(image_src, str) else image_src.decode("ascii", errors="replace")
        data = _from_url(text, settings) if image_src_type == "image_url" else _from_base64(text, settings)
    return _checked(data, settings)


def named_image(name: str, settings: Settings) -> bytes:
    """The bytes of a picture named on a command line: a path, a URL, a data: URL, or `-` for standard input."""
    if name == "-":
        return _checked(sys.stdin.buffer.read(settings.max_image_bytes + 1), settings)
    if name.startswith("data:"):
        return image_bytes(name, "image_base64", settings)
    if "://" in name and not name.startswith("file://"):
        return image_bytes(name, "image_url", settings)
    return _checked(_from_file(local_path(name) or Path(name), settings), settings)


def _from_url(url: str, settings: Settings) -> bytes:
    if is_object(url):
        allowed.require(url, settings)
        return stored_image(ObjectStore(settings), url, limit=settings.max_image_bytes)
    if not url.lower().startswith(("http://", "https://")):
        raise UserError(f"{shown_url(url)} is not a supported URL: use http://…, https://… or s3://bucket/key")
    from image_retrieval.http_fetch import fetch

    return fetch(url, settings)


def _from_base64(text: str, settings: Settings) -> bytes:
    if text.startswith("data:"):
        head, _, text = text.partition(",")
        if not head.endswith(";base64"):
            raise UserError("a data: URL must have the form data:image/…;base64,…")
    if len(text) > 2 * settings.max_image_bytes + 4:  # base64 takes 4/3 of the size, and line ends
        raise _too_large(len(text) * 3 // 4, settings)
    try:
        return _decoded("".join(text.split()))
    except (binascii.Error, ValueError) as error:
        raise UserError(f"the picture is not base64: {error}") from None


def _decoded(text: str) -> bytes:
    """What base64 says, of a long one in pieces: a call that computes keeps all other threads waiting."""
    bare = len(text.rstrip("="))
    if len(text) != bare + -bare % 4:  # Python 3.13 refuses excess padding, 3.11 does not
        raise ValueError("its padding is not that of its length")
    size = BASE64_PIECE if text.find("=", 0, -2) < 0 else len(text)  # else a piece of what is broken could pass
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return b"".join(base64.b64decode(piece, validate=True) for piece in pieces)


def _from_file(path: Path, settings: Settings) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(settings.max_image_bytes + 1)
    except OSError as error:
        raise UserError(f"{printable(str(path))} cannot be read: {error.strerror}") from None


def _checked(data: bytes, settings: Settings) -> bytes:
    if len(data) > settings.max_image_bytes:
        raise _too_large(len(data), settings)
    if not data:
        raise ImageRejected(Reason.EMPTY_FILE)
    return data


def _too_large(size: int, settings: Settings) -> ImageRejected:
    detail = f"at least {size} bytes are over the limit of {settings.max_image_bytes}"
    return ImageRejected(Reason.TOO_LARGE, detail)
