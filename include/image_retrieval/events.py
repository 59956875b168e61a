"""Reads the events of object stores: JSON in, URIs of the objects that may have changed out.

| Sender | Form |
|---|---|
| anybody | `{"uris": ["s3://bucket/key", ...]}` |
| S3, MinIO; also by SQS, SNS | `{"Records": [{"s3": {"bucket": {"name"}, "object": {"key"}}}]}`, key URL-encoded |
| EventBridge | `{"source": "aws.s3", "detail": {"bucket": {"name"}, "object": {"key"}}}` |
| OSS | `{"events": [{"oss": {"bucket": {"name"}, "object": {"key"}}}]}` |
| Google Cloud Storage, by Pub/Sub | `{"message": {"attributes": {"bucketId", "objectId"}}}` |
| Google Cloud Storage, by Eventarc | `{"kind": "storage#object", "bucket", "name"}` |
| Azure's Event Grid | `{"subject": "/blobServices/default/containers/<container>/blobs/<key>"}` |
| SeaweedFS' webhook | `{"key": "/buckets/<bucket>/<key>", "event_type"}` |

What kind of event it is does not matter. Anything else, such as the test event of a new subscription, has no URIs.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from image_retrieval.strict_json import NotStrict, read_json

BUCKETS = "/buckets/"  # where SeaweedFS keeps those of S3
AZURE = re.compile("/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
DEPTH = 3  # envelopes: EventBridge or S3 in SNS in SQS


def uris_of(event: Any, depth: int = 0) -> Iterator[str]:
    """The URIs of the objects that an event, or a list of events, tells of."""
    if isinstance(event, list):
        for each in event:
            yield from uris_of(each, depth)
        return
    if not isinstance(event, dict):
        return
    yield from (uri for uri in _list(event.get("uris")) if isinstance(uri, str))
    for record in _list(event.get("Records")):
        yield from _object("s3", _of(record, "s3"), unquote_plus)
    for record in _list(event.get("events")):
        yield from _object("oss", _of(record, "oss"), str)
    if event.get("source") == "aws.s3":
        yield from _object("s3", event.get("detail"), str)
    yield from _google(event)
    blob = AZURE.fullmatch(str(event.get("subject")))
    if blob:
        yield f"az://{blob[1]}/{blob[2]}"
    key = event.get("key")
    if isinstance(key, str) and key.startswith(BUCKETS) and "event_type" in event:
        yield f"s3://{key.removeprefix(BUCKETS)}"
    inner = event.get("Message")  # of SNS
    if isinstance(inner, str) and depth < DEPTH:
        yield from uris_of(_parsed(inner), depth + 1)


def uris_of_text(text: str) -> list[str]:
    """The URIs of an event as JSON text; none if it is no JSON."""
    return list(uris_of(_parsed(text)))


def _google(event: Any) -> Iterator[str]:
    told = _of(_of(event, "message"), "attributes")
    places = [(_of(told, "bucketId"), _of(told, "objectId"))]
    if event.get("kind") == "storage#object":
        places.append((event.get("bucket"), event.get("name")))
    for bucket, key in places:
        if isinstance(bucket, str) and isinstance(key, str) and bucket and key:
            yield f"gs://{bucket}/{key}"


def _object(scheme: str, found: Any, decoded: Any) -> Iterator[str]:
    bucket, key = _of(_of(found, "bucket"), "name"), _of(_of(found, "object"), "key")
    if isinstance(bucket, str) and isinstance(key, str) and bucket and key:
        yield f"{scheme}://{bucket}/{decoded(key)}"


def _of(found: Any, name: str) -> Any:
    return found.get(name) if isinstance(found, dict) else None


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _parsed(text: str) -> Any:
    try:
        return read_json(text)
    except NotStrict:
        return None
