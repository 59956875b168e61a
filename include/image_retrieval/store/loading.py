"""Loads a shard by binary COPY: new vectors straight into their table, others through a staging table."""

from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason
from image_retrieval.store.binary_copy import copy_in, digests
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import keep_removals_out
from image_retrieval.store.sql import statement

# of `staging`, in the order of binary COPY
COLUMNS = {
    "id": pa.int64(),
    "etag": pa.string(),
    "size": pa.int64(),
    "last_modified": pa.timestamp("us", "UTC"),
    "sha256": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "format": pa.string(),
    "mode": pa.string(),
    "phash": pa.int64(),
    "captured_at": pa.timestamp("us"),
    "resampled_uri": pa.string(),
}


def shard_is_loaded(connection: Connection, run: dict[str, Any]) -> bool:
    """Whether a shard (collection, run_id, shard) has its row in `retrieval.shard`.

    Locks the shard until the transaction ends: a second caller waits here.
    """
    connection.execute(statement("loading", "lock_shard"), run)
    return connection.execute(statement("loading", "find_shard"), run).fetchone() is not None


def load_vectors(
    connection: Connection, collection: Collection, images: pa.Table, vectors: pa.ChunkedArray, *, facts: bool = True
) -> int:
    """Upsert images (the columns above) with their vectors (lists of float32). Returns the number of written vectors.

    Unchanged rows are compared and not written; images removed meanwhile are left out. Without `facts`, only vectors
    are upserted.
    """
    rows = images.select(list(COLUMNS)).cast(pa.schema(COLUMNS.items()))
    rows = rows.append_column("digest", digests(vectors)).append_column("embedding", vectors)
    if (np.diff(rows["id"].to_numpy()) < 0).any():
        rows = rows.sort_by("id")  # the same order for all concurrent loads, against deadlocks
    span = pc.min_max(rows["id"]).as_py()
    connection.execute(statement("loading", "create_staging"))
    copy_in(connection, statement("loading", "copy_staging"), rows.drop(["embedding"]))
    keep_removals_out(connection, collection.name)
    vector_rows = rows.select(["id", "etag", "digest", "embedding"])
    written = _load_vectors(connection, collection.vector_table, vector_rows, span)
    if facts:
        connection.execute(statement("loading", "update_images"), span)
        connection.execute(statement("loading", "clear_rejected"), {**span, "collection": collection.name})
    return written


def _load_vectors(connection: Connection, table: str, rows: pa.Table, span: dict[str, int | None]) -> int:
    """Upsert the staged rows of a vector table (id, etag, digest, embedding). Returns the number of written rows.

    `span` holds their least and greatest ids.
    """
    found = connection.execute(statement("loading", "compare_vectors", vectors=table), span).fetchone() or {}
    known = {name: pa.array(ids, pa.int64()) for name, ids in found.items()}
    theirs = rows.filter(pc.is_in(rows["id"], known["changed"]))
    if any(map(len, known.values())):
        rows = rows.filter(pc.invert(pc.is_in(rows["id"], pa.concat_arrays(known.values()))))
    if not len(rows):
        return _merge_vectors(connection, table, theirs)
    try:
        with connection.transaction():
            copy_in(connection, statement("loading", "copy_vectors", vectors=table), rows)
    except psycopg.errors.UniqueViolation:  # another run has inserted one of them meanwhile
        return _merge_vectors(connection, table, pa.concat_tables([rows, theirs]))
    return len(rows) + _merge_vectors(connection, table, theirs)


def _merge_vectors(connection: Connection, table: str, rows: pa.Table) -> int:
    """Upsert rows of which some may exist. Returns the number of written rows."""
    if not len(rows):
        return 0
    connection.execute(statement("loading", "create_incoming", dimensions=rows["embedding"].type.list_size))
    copy_in(connection, statement("loading", "copy_incoming"), rows)
    return connection.execute(statement("loading", "upsert_vectors", vectors=table)).rowcount


def write_rejections(
    connection: Connection,
    collection: Collection,
    run_id: str,
    rows: list[dict[str, Any]],
    max_attempts: int,
    *,
    also: Collection | None = None,
) -> None:
    """Record rejected objects (uri, etag, stage, reason, detail), and delete vectors that a final rejection outdates.

    `also`: the collection under another model, whose outdated vectors are deleted, too.
    """
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
    for entry in (collection, also) if also else (collection,):
        connection.execute(statement("loading", "remove_outdated", vectors=entry.vector_table), key)


def write_shard(connection: Connection, row: dict[str, Any]) -> None:
    """Record a loaded shard with its counts and seconds."""
    connection.execute(statement("loading", "write_shard"), row)
