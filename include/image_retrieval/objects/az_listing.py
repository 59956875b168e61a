"""Lists a container completely, or raises an error: objects that an answer leaves out would count as deleted."""

import re
from collections.abc import Iterator
from typing import Any

from azure.core.exceptions import DecodeError
from azure.storage.blob import BlobProperties, ContainerClient

from image_retrieval.objects.base import ListingIncomplete, StoredObject
from image_retrieval.objects.retrying import Broken, again
from image_retrieval.objects.s3_listing import LARGEST, plain_etag

PAGE = 5000  # objects that one answer may have
COMPLETE = re.compile(r"<NextMarker\s*/>|<NextMarker>")
LISTED = re.compile("<Blob>")


def pages(client: ContainerClient, bucket: str, start: str) -> Iterator[list[StoredObject]]:
    """Pages of the objects whose names begin with `start`. Raises ListingIncomplete."""
    marker, seen = None, set[str]()
    while True:
        page, marker = _answer(client, bucket, start, marker)
        if page:
            yield page
        if not marker:
            return
        if marker in seen:
            raise ListingIncomplete("an answer continues where one before it did")
        seen.add(marker)


def _answer(client: ContainerClient, bucket: str, start: str, marker: str | None) -> tuple[list[StoredObject], str]:
    def once() -> tuple[list[StoredObject], str]:
        told: list[int] = []
        try:
            answers = client.list_blobs(
                name_starts_with=start,
                include=["metadata"],
                results_per_page=PAGE,
                raw_response_hook=lambda answer: told.append(_listed(answer.http_response)),
            ).by_page(marker)
            found = list(next(answers, ()))
        except (DecodeError, AttributeError, TypeError, ValueError, KeyError) as error:
            raise Broken(f"an answer cannot be read ({type(error).__name__})") from None
        if told[-1:] != [len(found)]:
            raise Broken(f"an answer has {told[-1:]} objects, and {len(found)} were read")
        objects = [_entry(blob, bucket, start) for blob in found if not _is_folder(blob)]
        return objects, str(getattr(answers, "continuation_token", None) or "")

    try:
        return again(once, f"{bucket}{start}")
    except Broken as broken:
        raise ListingIncomplete(str(broken)) from None


def _listed(response: Any) -> int:
    """How many objects an answer has. Raises Broken if it does not say whether it is the last one."""
    if response.status_code != 200:
        return 0  # the client raises its error
    text = response.text()
    if not COMPLETE.search(text):  # perhaps a proxy's answer
        raise Broken("an answer does not say whether there is more")
    return len(LISTED.findall(text))


def _is_folder(blob: BlobProperties) -> bool:
    """Whether an entry is a folder of an account that has such (hierarchical namespace), and so no object."""
    return (blob.metadata or {}).get("hdi_isfolder", "").lower() == "true"


def _entry(blob: BlobProperties, bucket: str, start: str) -> StoredObject:
    name, size, etag = blob.name or "", blob.size, plain_etag(blob.etag)
    if not name.startswith(start) or not name:
        raise Broken(f"an answer lists {name!a}, which was not asked for")
    if not etag:
        raise Broken(f"an answer has no ETag for {name!a}")
    if size is None or not 0 <= size <= LARGEST or blob.last_modified is None:
        raise Broken(f"an answer has no size or no time for {name!a}")
    return StoredObject(f"{bucket}{name}", name[len(start) :], etag, size, blob.last_modified)
