"""What a source may be besides a prefix of images: how its URI is written, and which keys of an entry fit it."""

import re
from typing import Literal

from image_retrieval.index_columns import IndexColumns, index_format
from image_retrieval.metadata_options import Kind
from image_retrieval.redaction import shown_url
from image_retrieval.schemes import BUCKET, SUPPORTED
from image_retrieval.tar_uris import lists_tars, tars_fault

SourceFormat = Literal["inventory", "parquet", "delta", "iceberg"]
TABLES = ("parquet", "delta", "iceberg")
MANIFEST = "manifest.json"  # of an inventory
METADATA = ".metadata.json"  # ends the name of a version of an Iceberg table


def source_uri(uri: str) -> str:
    """The URI of a source, with a `/` at the end unless it names a file. Raises ValueError if it is no such URI."""
    if not re.fullmatch(rf"({BUCKET}|file://)/.*", uri):
        raise ValueError(
            f"{shown_url(uri)} is not allowed: a source is s3://bucket/prefix/ or file:///folder/, an index file, a "
            f"table or a tar there; schemes are {SUPPORTED}"
        )
    if fault := tars_fault(uri):
        raise ValueError(f"{shown_url(uri)} {fault}")
    is_file = uri.endswith(("/", f"/{MANIFEST}", METADATA)) or index_format(uri) or lists_tars(uri)
    return uri if is_file else uri + "/"


def lines_format(source: str, form: SourceFormat | None) -> str | None:
    """The format of a source that names images line by line: an index file, or a table. None for other sources."""
    return (form if form in TABLES else None) if form else index_format(source)


def misfit(
    source: str,
    form: SourceFormat | None,
    columns: IndexColumns,
    version: int | None,
    metadata: tuple[Kind, ...],
    *,
    watched: bool,
) -> str | None:
    """Why keys of an entry do not fit its source, or None if they do."""
    if form and lists_tars(source):
        return "`format` is for an inventory or a table, and the source is a tar"
    if form == "inventory" and not re.match(BUCKET, source):
        return "`format: inventory` is for a bucket: the store writes its inventories there"
    if columns.image and (columns.uri or lines_format(source, form) not in TABLES):
        return "`image` of `columns` is for a table, and in place of `uri`: the table then holds the images themselves"
    if version is not None and form not in ("delta", "iceberg"):
        return "`table_version` is for `format: delta` and `format: iceberg`: nothing else has versions"
    return _misfit_of_metadata(source, _kind(source, form), metadata, watched=watched)


def _kind(source: str, form: SourceFormat | None) -> str:
    """What a source is, if it is not a prefix of images."""
    if form:
        return "an inventory" if form == "inventory" else "a table"
    return "an index file" if index_format(source) else "a tar" if lists_tars(source) else ""


def _misfit_of_metadata(source: str, kind: str, metadata: tuple[Kind, ...], *, watched: bool) -> str | None:
    if metadata and kind:
        within = ": in a tar, cat.json and cat.txt describe cat.jpg anyway" if kind == "a tar" else ""
        return f"`metadata` is for a prefix, and the source is {kind}{within}"
    if {"headers", "tags"} & set(metadata) and source.startswith("file://"):
        return "`metadata` headers and tags are for a bucket: a file has neither"
    if "tags" in metadata and source.startswith("gs://"):
        return "`metadata: tags` is for stores that have them: Google's has not, so use headers"
    if watched and (metadata or kind):
        return "`watch` is for a prefix without `metadata`: events name images, not what describes them"
    return None
