"""Loading a shard: binary COPY to a staging table, then one upsert."""

from typing import Any

import pyarrow as pa
from pgvector import HalfVector

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

COLUMNS = {
    "id": "int8",
    "etag": "text",
    "size": "int8",
    "last_modified": "timestamptz",
    "sha256": "text",
    "width": "int4",
    "height": "int4",
    "format": "text",
    "mode": "text",
    "phash": "int8",
    "captured_at": "timestamp",
    "resampled_uri": "text",
}


def shard_is_loaded(connection: Connection, run: dict[str, Any]) -> bool:
    """Whether a shard (collection, run_id, shard) has its line in `retrieval.shard`.

    Until the transaction ends nobody else can write it: who asks beside it waits here.
    """
    connection.execute(statement("loading", "lock_shard"), run)
    return connection.execute(statement("loading", "find_shard"), run).fetchone() is not None


def load_vectors(connection: Connection, collection: Collection, images: pa.Table, vectors: pa.ChunkedArray) -> int:
    """Upsert images (the columns above) with their vectors (lists of float32). Returns how many vectors were written.

    Rows that are there already, unchanged, are compared and not written.
    """
    dimensions = vectors.type.list_size
    connection.execute(statement("loading", "create_staging", dimensions=dimensions))
    halves = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, dimensions)
    columns = [images[name].to_pylist() for name in COLUMNS]
    with connection.cursor().copy(statement("loading", "copy_staging")) as copy:
        copy.set_types([*COLUMNS.values(), "halfvec"])
        for row in zip(*columns, halves, strict=True):
            copy.write_row((*row[:-1], HalfVector(row[-1])))
    written = connection.execute(statement("loading", "upsert_vectors", vectors=collection.vector_table)).rowcount
    connection.execute(statement("loading", "update_images"))
    connection.execute(statement("loading", "clear_rejected"))
    return written


def write_rejections(
    connection: Connection, collection: Collection, run_id: str, rows: list[dict[str, Any]], max_attempts: int
) -> None:
    """Record rejected objects (uri, etag, stage, reason, detail) and drop vectors that a final one made outdated."""
    if not rows:
        return
    key = {"collection": collection.name, "run_id": run_id}
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("loading", "reject"),
            [
                {**key, **row, "transient": Reason(row["reason"]).transient, "max_attempts": max_attempts}
                for row in rows
            ],
        )
    connection.execute(statement("loading", "remove_outdated", vectors=collection.vector_table), key)


def write_shard(connection: Connection, row: dict[str, Any]) -> None:
    """Record that a shard is in the table, with its counts and seconds."""
    connection.execute(statement("loading", "write_shard"), row)
