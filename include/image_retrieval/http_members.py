"""Images behind http(s) URLs that a source lists: their versions, and their bytes at a version."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import httpcore

from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.http_fetch import Answered, header, read_body, request
from image_retrieval.redaction import shown_url
from image_retrieval.settings import Settings

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_HEAD = {405, 501}  # statuses of servers that answer GET alone
LONGEST = 500  # characters of a version
MODIFIED, SIZE, NONE = "modified:", "size:", "none"  # versions of answers without an ETag


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of an image; `size` is in bytes, 0 if it does not say it."""

    version: str
    size: int
    last_modified: datetime


class _Pace:
    """When each host may be asked next, for all threads of this process."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str, rate: float) -> None:
        """Wait until a host may be asked, at most `rate` times a second."""
        with self._lock:
            at = max(time.monotonic(), self._next.get(host, 0))
            self._next[host] = at + 1 / rate
        time.sleep(max(0, at - time.monotonic()))


_PACE = _Pace()


def ask_url(url: str, settings: Settings) -> Told:
    """The version of the image behind a URL: its ETag, else Last-Modified, else its size.

    Raises ImageRejected: not_found, access_denied, unreachable.
    """
    try:
        return _request(url, settings, _told, "HEAD")
    except Answered as answered:
        if answered.status not in NO_HEAD:
            raise
        return _request(url, settings, _told, "GET")


def fetch_version(url: str, version: str, size: int, settings: Settings) -> bytes:
    """The bytes behind a URL, if they are the given version and, unless it is 0, of this size.

    Raises ImageRejected: also too_large and changed_while_reading.
    """

    def take(response: httpcore.Response) -> bytes:
        if not _is_version(response, version):
            raise ImageRejected(Reason.CHANGED_WHILE_READING, f"{shown_url(url)} is not the version that was listed")
        data = read_body(response, url, settings.max_image_bytes)
        told = version.removeprefix(SIZE)
        listed = int(told) if told != version and told.isdecimal() else size
        if listed and len(data) != listed:
            detail = f"{shown_url(url)} has {len(data)} bytes, but {listed} were listed"
            raise ImageRejected(Reason.CHANGED_WHILE_READING, detail)
        return data

    return _request(url, settings, take, "GET")


def _request(url: str, settings: Settings, take: Callable[[httpcore.Response], T], method: str) -> T:
    """One try: a later run is the next one."""

    def before(url: str) -> None:
        _PACE.wait(urlsplit(url).netloc.lower(), settings.url_rate)

    try:
        return request(url, settings, take, method=method, before=before)
    except UserError as refused:  # a redirect or a host's address, which may be another one later
        raise ImageRejected(Reason.ACCESS_DENIED, str(refused)) from None


def _told(response: httpcore.Response) -> Told:
    length, modified = header(response, b"content-length") or "", header(response, b"last-modified")
    size = int(length) if length.isdecimal() and len(length) < 16 else 0
    try:
        when = parsedate_to_datetime(modified or "")
    except (ValueError, OverflowError):
        when = EPOCH
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    version = _etag(response) or (f"{MODIFIED}{modified}" if modified else f"{SIZE}{size}" if size else NONE)
    return Told(version[:LONGEST], size, when)


def _etag(response: httpcore.Response) -> str:
    return (header(response, b"etag") or "").removeprefix("W/").strip('"')


def _is_version(response: httpcore.Response, version: str) -> bool:
    """Whether an answer is of a version, as far as its headers tell."""
    if version.startswith(MODIFIED):
        return f"{MODIFIED}{header(response, b'last-modified')}"[:LONGEST] == version
    return version in ("", NONE) or version.startswith(SIZE) or _etag(response)[:LONGEST] == version
