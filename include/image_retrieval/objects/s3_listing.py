"""Lists a bucket completely, whichever dialect its store speaks, or raises an error.

Requests use version 2 of the protocol. If an answer is truncated without a continuation token, as from stores that only
know version 1, the listing continues after the last key, first with version 2, then with version 1. When a store says
that the listing is complete, it is asked once more for keys after the greatest one. An answer that lacks something a
listing needs, or contains keys that were not requested, ends the listing with an error: objects that it leaves out
would count as deleted.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from operator import lt
from typing import Any
from urllib.parse import unquote_plus

from image_retrieval.objects.base import ListingIncomplete, Page, StoredObject
from image_retrieval.objects.columns import Columns, uris_of
from image_retrieval.objects.s3_plain import PlainEntries
from image_retrieval.objects.uris import root_of, split_s3

TRUNCATED = re.compile(rb"<(?:\w+:)?IsTruncated>([^<]*)</")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = 2**63 - 1  # the largest size in bytes that the tables can hold
EMPTY_PAGES = 1000  # in a row: some stores return empty pages where much was deleted, but not endlessly

Ask = Callable[..., dict[str, Any]]  # the version of the protocol, and parameters by name


def require_told_whether_cut(response_dict: dict[str, Any], **_: Any) -> None:
    """Refuse an answer that does not say explicitly whether it is truncated, before botocore reads it."""
    if response_dict["status_code"] != 200:
        return
    found = TRUNCATED.search(response_dict["body"])
    if found is None:
        raise ListingIncomplete("an answer does not say whether it is truncated")
    said = found[1].strip()
    if said not in (b"true", b"false"):
        raise ListingIncomplete(f"an answer says IsTruncated {said[:20].decode(errors='replace')!a}")


def pages(ask: Ask, prefix: str, behind: str | None = None) -> Iterator[Page]:
    """Pages of the objects under a prefix, of those behind a key if one is given. Raises ListingIncomplete."""
    course = _Course(prefix)
    request: _Request | None = _Request(behind=behind)
    while request is not None:
        answer = ask(request.version, **request.parameters())
        page = entries(answer, prefix)
        if request.behind is not None and page and page[0].uri <= request.behind_uri(prefix):
            request = course.other_way(request)
            continue
        course.note(page)
        if page:
            yield page
        request = course.next(request, answer, page)


@dataclass(frozen=True, slots=True)
class _Request:
    """A request for a page: the first one, that of a token, or the one after a key."""

    version: int = 2
    token: str | None = None
    behind: str | None = None
    owed: bool = True  # the store has said that there is more

    def parameters(self) -> dict[str, str]:
        if self.token is not None:
            return {"ContinuationToken": self.token}
        if self.behind is not None:
            return {"StartAfter" if self.version == 2 else "Marker": self.behind}
        return {}

    def behind_uri(self, prefix: str) -> str:
        return f"{root_of(prefix)}{self.behind}"


class _Course:
    """The progress of a listing, and its next request."""

    def __init__(self, prefix: str) -> None:
        self._bucket = root_of(prefix)
        self._version, self._greatest, self._ordered, self._empty = 2, "", True, 0
        self._tokens, self._seen = set[str](), set[tuple[str, str]]()

    def note(self, page: Page) -> None:
        """Record a page. Raises ListingIncomplete if it came before, so that no listing is endless."""
        if not page:
            self._empty += 1
            if self._empty > EMPTY_PAGES:
                raise ListingIncomplete(f"{self._empty} answers in a row are empty")
            return
        uris = uris_of(page)
        ends = uris[0], uris[-1]
        if ends in self._seen:
            raise ListingIncomplete(f"the objects from {ends[0]!a} to {ends[1]!a} are listed twice")
        self._seen.add(ends)
        self._ordered = self._ordered and all(map(lt, chain([self._greatest], uris), uris))
        self._greatest, self._empty = uris[-1] if self._ordered else max(self._greatest, *uris), 0

    def next(self, request: _Request, answer: dict[str, Any], page: Page) -> _Request | None:
        """The request after this answer, or None if it was the last one."""
        cut, token = answer["IsTruncated"], answer.get("NextContinuationToken")
        if cut and token and token not in self._tokens:
            self._tokens.add(token)
            return _Request(token=token)
        behind = self._greatest.removeprefix(self._bucket)
        if cut and not (page and self._ordered and is_text(behind)):
            raise ListingIncomplete("an answer is truncated, and has no new continuation token")
        if not behind or not is_text(behind) or (request.behind and not page):
            return None
        return _Request(self._version, behind=behind, owed=cut)

    def other_way(self, request: _Request) -> _Request | None:
        """The request in the other dialect, for a store that ignored the parameter and began again."""
        if request.version == 2:
            self._version = 1
            return replace(request, version=1)
        if request.owed:
            raise ListingIncomplete("an answer is truncated, and the store continues neither by token nor after a key")
        return None


def entries(answer: dict[str, Any], prefix: str) -> Page:
    """The objects of an answer. Raises ListingIncomplete if it has fewer objects, or others, than requested."""
    bucket, start = root_of(prefix), split_s3(prefix)[1]
    listed = answer.get("Contents", [])
    if answer.get("KeyCount", 0) > len(listed):
        raise ListingIncomplete(f"an answer counts {answer['KeyCount']} objects and lists {len(listed)}")
    if answer.get("CommonPrefixes"):
        raise ListingIncomplete("an answer lists folders instead of objects")
    encoded = answer.get("EncodingType") == "url"
    if isinstance(listed, PlainEntries) and (plain := _plain(listed, bucket, start, encoded)):
        return plain
    return [_entry(entry, bucket, start, encoded) for entry in listed]


def _plain(listed: PlainEntries, bucket: str, start: str, encoded: bool) -> Page:
    """The same objects as those of `_entry`, in less time; empty if one of them is odd."""
    keys, text = listed.keys, "".join(listed.keys)
    if encoded and ("%" in text or "+" in text):
        keys = [unquote_plus(key, errors="surrogateescape") for key in keys]
    # what lies between two keys that begin with the prefix begins with it, too
    if "" in listed.etags or not (min(keys).startswith(start) and max(keys).startswith(start)):
        return []
    uris = [bucket + key for key in keys]
    return Columns(len(bucket) + len(start), uris, listed.etags, listed.sizes, listed.modified)


def _entry(listed: dict[str, Any], bucket: str, start: str, encoded: bool) -> StoredObject:
    key = listed.get("Key") or ""
    if encoded and ("%" in key or "+" in key):
        key = unquote_plus(key, errors="surrogateescape")
    if not key.startswith(start) or not key:
        raise ListingIncomplete(f"an answer lists {key!a}, which was not asked for")
    etag = plain_etag(listed.get("ETag"))
    try:
        size, modified = listed["Size"], listed["LastModified"]
    except KeyError as missing:
        raise ListingIncomplete(f"an answer has no {missing.args[0]} for {key!a}") from None
    if not etag and not key.endswith("/"):  # without an ETag, versions cannot be distinguished
        raise ListingIncomplete(f"an answer has no ETag for {key!a}")
    if not 0 <= size <= LARGEST:
        raise ListingIncomplete(f"an answer says that {key!a} has {size} bytes")
    return StoredObject(f"{bucket}{key}", key[len(start) :], etag, size, _in_utc(modified))


def _in_utc(modified: datetime) -> datetime:
    """A time that the tables can hold; an impossible one becomes the beginning of the epoch."""
    if modified.tzinfo is None:
        return modified.replace(tzinfo=UTC)
    try:
        return modified.astimezone(UTC)
    except OverflowError:
        return EPOCH


def is_text(key: str) -> bool:
    """Whether a key is UTF-8, so that a request can name it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in key)


def plain_etag(etag: str | None) -> str:
    """An ETag without quotes. A weak one, as proxies create them, is compared like a strong one."""
    return (etag or "").removeprefix("W/").strip('"')
