"""What `source` of a collection may be, and which other keys fit it."""

import re

from image_retrieval.index_columns import index_format
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKET, SUPPORTED
from image_retrieval.tar_uris import lists_tars, tars_fault


def checked_source(uri: str) -> str:
    """A source as it is kept: a prefix ends in `/`. Raises ValueError that says what is wrong with it."""
    if not re.fullmatch(rf"({BUCKET}|file://)/.*", uri):
        raise ValueError(
            f"{shown_url(uri)} is not allowed: a source is s3://bucket/prefix/ or file:///folder/; "
            f"schemes are {SUPPORTED}"
        )
    if fault := tars_fault(uri):
        raise ValueError(f"{shown_url(uri)} {fault}")
    return uri if uri.endswith("/") or index_format(uri) or lists_tars(uri) else uri + "/"


def misfit(source: str, *, described: bool, watched: bool) -> str | None:
    """Why `metadata` or `watch` does not fit a source; None if both do."""
    if described and index_format(source):
        return "`metadata: sidecar` is for a prefix: an index file has captions and attributes itself"
    if described and lists_tars(source):
        return "`metadata: sidecar` is for a prefix: in a tar, cat.json and cat.txt describe cat.jpg anyway"
    if watched and (described or index_format(source) or lists_tars(source)):
        return "`watch` is for a prefix without `metadata`: events name images, not what describes them"
    return None
