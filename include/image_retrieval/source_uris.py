"""What `source` of a collection may be, and which other keys fit it."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

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


KINDS = ("sidecar", "headers", "tags")
Kind = Literal["sidecar", "headers", "tags"]


def _listed_kinds(value: Any) -> Any:
    kinds = value if isinstance(value, list | tuple) else [] if value is None else [value]
    if not all(kind in KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise ValueError(f"{value!r} is not allowed: use one of {', '.join(map(repr, KINDS))}, or a list of them")
    return tuple(kinds)


Query = Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"\S")]
Metadata = Annotated[tuple[Kind, ...], BeforeValidator(_listed_kinds)]


def misfit(source: str, metadata: tuple[Kind, ...], *, watched: bool) -> str | None:
    """Why `metadata` or `watch` does not fit a source; None if both do."""
    if metadata and index_format(source):
        return "`metadata` is for a prefix: an index file has captions and attributes itself"
    if metadata and lists_tars(source):
        return "`metadata` is for a prefix: in a tar, cat.json and cat.txt describe cat.jpg anyway"
    if {"headers", "tags"} & set(metadata) and source.startswith("file://"):
        return "`metadata` headers and tags are for a bucket: a file has neither"
    if "tags" in metadata and source.startswith("gs://"):
        return "`metadata: tags` is for stores that have them: Google's has not, so use headers"
    if watched and (metadata or index_format(source) or lists_tars(source)):
        return "`watch` is for a prefix without `metadata`: events name images, not what describes them"
    return None
