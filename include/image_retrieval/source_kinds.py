"""What a source may be besides a prefix of images: how its URI is written, and which keys of an entry fit it."""

import re
from typing import Literal

from image_retrieval.index_columns import IndexColumns, index_format
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKET, SUPPORTED

SourceFormat = Literal["inventory", "parquet", "delta", "iceberg"]
TABLES = ("parquet", "delta", "iceberg")
MANIFEST = "manifest.json"  # of an inventory
METADATA = ".metadata.json"  # ends the name of a version of an Iceberg table


def source_uri(uri: str) -> str:
    """The URI of a source, with a `/` at the end unless it names a file. Raises ValueError if it is no such URI."""
    if not re.fullmatch(rf"({BUCKET}|file://)/.*", uri):
        raise ValueError(
            f"{shown_url(uri)} is not allowed: a source is s3://bucket/prefix/ or file:///folder/; "
            f"schemes are {SUPPORTED}"
        )
    return uri if uri.endswith(("/", f"/{MANIFEST}", METADATA)) or index_format(uri) else uri + "/"


def lines_format(source: str, form: SourceFormat | None) -> str | None:
    """The format of a source that names images line by line: an index file, or a table. None for other sources."""
    return (form if form in TABLES else None) if form else index_format(source)


def misfit(
    source: str, form: SourceFormat | None, columns: IndexColumns, version: int | None, *, sidecars: bool, watched: bool
) -> str | None:
    """Why keys of an entry do not fit its source, or None if they do."""
    if form == "inventory" and not re.match(BUCKET, source):
        return "`format: inventory` is for a bucket: the store writes its inventories there"
    if columns.image and (columns.uri or lines_format(source, form) not in TABLES):
        return "`image` of `columns` is for a table, and in place of `uri`: the table then holds the images themselves"
    if version is not None and form not in ("delta", "iceberg"):
        return "`table_version` is for `format: delta` and `format: iceberg`: nothing else has versions"
    listed = "an inventory" if form == "inventory" else "a table" if form else "an index file"
    listed = listed if form or index_format(source) else ""
    if sidecars and listed:
        return f"`metadata: sidecar` is for a prefix, and the source is {listed}"
    if watched and (sidecars or listed):
        return "`watch` is for a prefix without `metadata`: events name images, not what describes them"
    return None
