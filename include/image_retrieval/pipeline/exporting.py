"""Export: writes the images of a collection's view as Parquet parts."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.apart import require_export_apart
from image_retrieval.pipeline.dataset import (
    COLUMNS,
    MadeBy,
    Manifest,
    Part,
    folder_of,
    now,
    read_manifest,
    write_manifest,
)
from image_retrieval.settings import Settings
from image_retrieval.shards import VECTORS_PER_GROUP, reading, writing
from image_retrieval.spaces import VectorSpace
from image_retrieval.store import datasets
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.datasets import ExportedImage, Span

log = structlog.get_logger()
ROWS_PER_PART = 100_000  # 400 MB at 1,024 dimensions


def export_collection(
    collection: Collection,
    uri: str,
    settings: Settings,
    *,
    rows_per_part: int = ROWS_PER_PART,
    progress: Callable[[int], None] = lambda done: None,
) -> Manifest:
    """Write the searchable images of a collection, with their vectors, under a folder. Returns the manifest.

    Existing parts are not written again, and a complete data set stays as it is. One call writes one snapshot of the
    tables. Raises UserError if the collection has no view yet, or if the folder contains anything else.
    """
    store, folder = ObjectStore(settings), folder_of(uri)
    with connect(settings, snapshot=True) as connection:
        require_export_apart(connection, collection, folder, settings)
        manifest = _plan(connection, collection, store, folder, rows_per_part)
        if manifest["complete"]:
            log.info("already exported", uri=folder)
            return manifest
        space = VectorSpace(collection.name, manifest["model"]["name"])
        for part in manifest["parts"]:
            if store.exists(folder + part["file"]):
                with reading(store, folder + part["file"]) as file:
                    part["rows"] = file.metadata.num_rows
                continue
            part["rows"] = 0
            with writing(store, folder + part["file"], COLUMNS, compression="zstd") as writer:
                for table in _tables(connection, space, part, manifest["dimensions"]):
                    writer.write_table(table)
                    part["rows"] += len(table)
                    progress(len(table))
    rows = sum(part["rows"] for part in manifest["parts"])
    manifest |= {"complete": True, "rows": rows, "exported_at": now()}
    write_manifest(store, folder, manifest)
    return manifest


def _plan(
    connection: Connection, collection: Collection, store: ObjectStore, folder: str, rows_per_part: int
) -> Manifest:
    """The existing manifest, or a new one that divides the images into parts by their ids."""
    shown = datasets.find_shown(connection, collection.name)
    if shown is None:
        raise UserError(
            f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
        )
    model: MadeBy = {"name": shown.model, "revision": shown.revision, "digest": shown.digest}
    known = read_manifest(store, folder)
    if known is not None:
        same = known.get("collection"), known["model"], known["dimensions"]
        if same != (collection.name, model, shown.dimensions):
            raise UserError(f"{folder} contains a data set of another collection or model: choose another folder")
        return known
    if any(store.pages(folder, missing_ok=True)):
        raise UserError(f"{folder} is not empty and has no manifest of a data set: choose another folder")
    vectors = VectorSpace(collection.name, shown.model).vector_table
    spans = datasets.plan_parts(connection, vectors, rows_per_part)
    spans = spans or [Span(0, -1)]  # an empty data set has one part, too
    manifest: Manifest = {
        "collection": collection.name,
        "model": model,
        "dimensions": shown.dimensions,
        "complete": False,
        "parts": [
            {"file": f"part-{number:05}.parquet", "first": span.first, "last": span.last}
            for number, span in enumerate(spans)
        ],
    }
    write_manifest(store, folder, manifest)
    return manifest


def _tables(connection: Connection, space: VectorSpace, part: Part, dimensions: int) -> Iterator[pa.Table]:
    """The rows of a part, one row group at a time."""
    row = np.dtype([("head", ">i2", 2), ("vector", ">f2", (dimensions,))])  # the format of halfvec_send
    for rows in datasets.read_part(connection, space, Span(part["first"], part["last"]), VECTORS_PER_GROUP):
        columns = dict(zip(ExportedImage._fields, zip(*rows, strict=True), strict=True))
        values = np.frombuffer(b"".join(columns.pop("image_embedding")), row)["vector"].astype(np.float32)
        offsets = np.arange(len(rows) + 1, dtype=np.int32) * dimensions
        found = {"image_embedding": pa.ListArray.from_arrays(offsets, values.reshape(-1))}
        found |= {name: pa.array(column, COLUMNS.field(name).type) for name, column in columns.items()}
        yield pa.table([found[name] for name in COLUMNS.names], schema=COLUMNS)
