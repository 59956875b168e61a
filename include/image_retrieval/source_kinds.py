"""What a source may be besides a prefix of images: how its URI is written, and which keys of an entry fit it."""

import re
from typing import Literal

from image_retrieval.index_columns import index_format
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKET, SUPPORTED

SourceFormat = Literal["inventory"]
MANIFEST = "manifest.json"  # of an inventory


def source_uri(uri: str) -> str:
    """The URI of a source, with a `/` at the end unless it names a file. Raises ValueError if it is no such URI."""
    if not re.fullmatch(rf"({BUCKET}|file://)/.*", uri):
        raise ValueError(
            f"{shown_url(uri)} is not allowed: a source is s3://bucket/prefix/ or file:///folder/; "
            f"schemes are {SUPPORTED}"
        )
    return uri if uri.endswith(("/", f"/{MANIFEST}")) or index_format(uri) else uri + "/"


def misfit(source: str, form: SourceFormat | None, *, sidecars: bool, watched: bool) -> str | None:
    """Why keys of an entry do not fit its source, or None if they do."""
    if form == "inventory" and not re.match(BUCKET, source):
        return "`format: inventory` is for a bucket: the store writes its inventories there"
    listed = "an inventory" if form else "an index file" if index_format(source) else None
    if sidecars and listed:
        return f"`metadata: sidecar` is for a prefix, and the source is {listed}"
    if watched and (sidecars or listed):
        return "`watch` is for a prefix without `metadata`: events name images, not what describes them"
    return None
