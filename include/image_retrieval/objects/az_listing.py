"""Lists a container completely, or raises an error: objects that an answer leaves out would count as deleted.

The answers are read here: Azure's client takes over 100 µs for each object, and takes whatever is XML for a listing.
"""

from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from azure.core.exceptions import DecodeError
from azure.storage.blob import ContainerClient

from image_retrieval.objects.base import ListingIncomplete, StoredObject
from image_retrieval.objects.retrying import Broken, again
from image_retrieval.objects.s3_listing import LARGEST, plain_etag

PAGE = 5000  # objects that one answer may have


def pages(client: ContainerClient, bucket: str, start: str) -> Iterator[list[StoredObject]]:
    """Pages of the objects whose names begin with `start`. Raises ListingIncomplete."""
    marker, seen = "", set[str]()
    while True:
        page, marker = _answer(client, bucket, start, marker)
        if page:
            yield page
        if not marker:
            return
        if marker in seen:
            raise ListingIncomplete("an answer continues where one before it did")
        seen.add(marker)


class _Taken(Exception):
    """The body of an answer, taken before the client reads it."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.body = body


def _take(answer: Any) -> None:
    if answer.http_response.status_code == 200:  # else the client raises its error
        raise _Taken(answer.http_response.body())


def _answer(client: ContainerClient, bucket: str, start: str, marker: str) -> tuple[list[StoredObject], str]:
    """A page of objects, and where the next one begins; empty at the end."""

    def once() -> tuple[list[StoredObject], str]:
        try:
            listed = client.list_blobs(start, include=["metadata"], results_per_page=PAGE, raw_response_hook=_take)
            next(listed.by_page(marker or None), None)
        except _Taken as taken:
            return _page(taken.body, bucket, start)
        except DecodeError:
            raise Broken("an answer cannot be read") from None
        raise Broken("there is no answer")

    try:
        return again(once, f"{bucket}{start}")
    except Broken as broken:
        raise ListingIncomplete(str(broken)) from None


def _page(body: bytes, bucket: str, start: str) -> tuple[list[StoredObject], str]:
    """What an answer holds. Raises Broken if it lacks something that a listing needs."""
    try:
        answer = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise Broken("an answer is not XML") from None
    blobs, marker = answer.find("Blobs"), answer.find("NextMarker")
    if answer.tag != "EnumerationResults" or blobs is None or marker is None:  # perhaps a proxy's answer
        raise Broken("an answer does not say whether there is more")
    if any(blob.tag != "Blob" for blob in blobs):
        raise Broken("an answer lists folders instead of objects")
    return [_entry(blob, bucket, start) for blob in blobs if not _is_folder(blob)], marker.text or ""


def _is_folder(blob: ElementTree.Element) -> bool:
    """Whether an entry is a folder of an account that has such (hierarchical namespace), and so no object."""
    told = blob.findtext("Metadata/hdi_isfolder") or blob.findtext("Properties/ResourceType") or ""
    return told.lower() in ("true", "directory")


def _entry(blob: ElementTree.Element, bucket: str, start: str) -> StoredObject:
    written, properties = blob.find("Name"), blob.find("Properties")
    if written is None or properties is None:
        raise Broken("an answer has no name or no properties of an object")
    name = written.text or ""
    if written.get("Encoded") == "true":  # what XML cannot hold
        name = unquote(name)
    if not name.startswith(start) or not name:
        raise Broken(f"an answer lists {name!a}, which was not asked for")
    etag, size = plain_etag(properties.findtext("Etag")), properties.findtext("Content-Length", "")
    if not etag:
        raise Broken(f"an answer has no ETag for {name!a}")
    if not size.isdecimal() or len(size) > 19 or int(size) > LARGEST:
        raise Broken(f"an answer says that {name!a} has {size[:20]!a} bytes")
    try:
        modified = parsedate_to_datetime(properties.findtext("Last-Modified", ""))
    except ValueError:
        raise Broken(f"an answer has no time for {name!a}") from None
    return StoredObject(f"{bucket}{name}", name[len(start) :], etag, int(size), modified)
