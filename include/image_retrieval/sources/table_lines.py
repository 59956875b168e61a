"""Lines of a table: images by their URIs, or the images themselves in a column of bytes."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.collection import Collection
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.image_inputs import IN_TABLE
from image_retrieval.objects import ObjectStore
from image_retrieval.sources.formats import BATCH, Columns, Lines, of_batch, plain, present, values_of
from image_retrieval.sources.tables import Refusal, Wanted, open_table

IMAGES = 64  # rows with images that are read at once
HASHED = "sha256:"  # begins a version that is made of the bytes


def uri_of(source: str, id: str) -> str:
    """The URI of an image that a table holds."""
    return f"{source}{IN_TABLE}{id}"


def table_lines(collection: Collection, store: ObjectStore, columns: Columns, refusal: Refusal) -> Iterator[Lines]:
    """The rows of a collection's table, numbered from 1. Raises UserError if it cannot be read, or lacks a column."""
    table = open_table(collection, store, refusal)
    there = present(columns, table.schema.names, collection.source)
    following = 1
    for batch in table.batches(list(there.values()), None, BATCH):
        yield of_batch(batch, list(range(following, following + len(batch))), there, [])
        following += len(batch)


def image_lines(
    collection: Collection, image: str, store: ObjectStore, columns: Columns, refusal: Refusal
) -> Iterator[Lines]:
    """The rows of a table with a column `image` of bytes. Each URI is made of its id, its version of the bytes.

    A table with a column of versions is read without the bytes. Raises UserError as `table_lines`.
    """
    table = open_table(collection, store, refusal)
    names = {field: name for field, name in columns.names.items() if field != "uri"}
    needed = Columns({**names, "image": image}, (columns.required - {"uri"}) | {"id"})
    there = present(needed, table.schema.names, collection.source)
    hashed = "etag" not in there
    if not hashed:
        del there["image"]
    following = 1
    for batch in table.batches(list(there.values()), None, IMAGES if hashed else BATCH):
        yield _of_images(batch, following, there, collection.source)
        following += len(batch)


def _of_images(batch: pa.RecordBatch, first: int, there: dict[str, str], source: str) -> Lines:
    needed = {"id": "has no id", **({"image": "has no image"} if "image" in there else {"etag": "has no version"})}
    why: dict[int, str] = {}
    for field, fault in reversed(needed.items()):
        column = batch.column(there[field])
        empty = pc.equal(pc.binary_length(column), 0) if field == "id" and not _is_number(column) else None
        missing = pc.is_null(column) if empty is None else pc.fill_null(empty, True)
        why |= dict.fromkeys(pc.indices_nonzero(missing).to_pylist(), fault)
    faults = [(first + at, fault) for at, fault in sorted(why.items())]
    usable = [at not in why for at in range(len(batch))]
    kept = batch.filter(pa.array(usable, pa.bool_()))
    told = {field: column for field, column in there.items() if field != "image"}
    lines = of_batch(kept, [first + at for at, use in enumerate(usable) if use], told, faults)
    lines.values["uri"] = [uri_of(source, id) for id in lines.values["id"]]
    if "image" in there:
        lines.values["etag"] = [version_of(image.as_py()) for image in kept.column(there["image"])]
    return lines


def _is_number(column: pa.Array) -> bool:
    return bool(pa.types.is_integer(column.type))


def version_of(image: bytes) -> str:
    """The version of an image whose table tells none."""
    return f"{HASHED}{hashlib.sha256(image).hexdigest()}"


def read_images(
    collection: Collection, versions: Mapping[str, str | None], store: ObjectStore, refusal: Refusal
) -> Iterator[tuple[str, bytes | ImageRejected]]:
    """The images of these URIs at these versions, in the order of the table, each with its bytes or its rejection.

    A version of None stands for any.
    Raises UserError if the table cannot be read.
    """
    chosen = collection.columns
    source, image, key, etag = collection.source, chosen.image or "", chosen.id or "id", chosen.etag or "etag"
    start = f"{source}{IN_TABLE}"
    table = open_table(collection, store, refusal)
    left = {uri.removeprefix(start): version for uri, version in versions.items() if uri.startswith(start)}
    hashed = any((version or "").startswith(HASHED) for version in left.values())
    columns = [name for name in (key, image, etag) if name in table.schema.names]
    if key in columns and image in columns and left:
        for batch in table.batches(columns, Wanted(key, list(left)), IMAGES):
            told = batch.column(etag) if etag in columns and not hashed else None
            for at, id in enumerate(values_of(batch.column(key))):
                if id not in left:  # a row that repeats an id
                    continue
                version = left.pop(id)
                data = batch.column(image)[at].as_py()
                yield uri_of(source, id), _at_version(uri_of(source, id), data, told, at, version)
    for uri in versions:
        if not uri.startswith(start) or uri.removeprefix(start) in left:
            yield uri, ImageRejected(Reason.NOT_FOUND, f"{uri} is not in the table any more")


def _at_version(uri: str, data: Any, told: pa.Array | None, at: int, version: str | None) -> bytes | ImageRejected:
    if not isinstance(data, bytes):
        return ImageRejected(Reason.NOT_FOUND, f"{uri} has no image any more")
    if version is None:
        return data
    found = version_of(data) if told is None else plain(values_of(told.slice(at, 1))[0])
    return data if found == version else ImageRejected(Reason.CHANGED_WHILE_READING, f"{uri} is not the listed version")
