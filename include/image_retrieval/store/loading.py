"""Loading a shard: binary COPY, straight into the table where an image is new, else by way of a staging table."""

from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason
from image_retrieval.store.connection import Connection
from image_retrieval.store.copying import Halfvecs, copy_in, copy_out, halfvecs
from image_retrieval.store.sql import statement

# of `staging`, as binary COPY wants them
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
    """Whether a shard (collection, run_id, shard) has its line in `retrieval.shard`.

    Until the transaction ends nobody else can write it: who asks beside it waits here.
    """
    connection.execute(statement("loading", "lock_shard"), run)
    return connection.execute(statement("loading", "find_shard"), run).fetchone() is not None


def load_vectors(connection: Connection, collection: Collection, images: pa.Table, vectors: pa.ChunkedArray) -> int:
    """Upsert images (the columns above) with their vectors (lists of float32). Returns how many vectors were written.

    Rows that are there already, unchanged, are compared and not written.
    """
    rows = images.select(list(COLUMNS)).cast(pa.schema(COLUMNS.items()))
    rows = rows.append_column("embedding", vectors).sort_by("id")  # one order for all who load beside each other
    connection.execute(statement("loading", "create_staging"))
    copy_in(connection, statement("loading", "copy_staging"), rows.select(list(COLUMNS)))
    written = _load_vectors(connection, collection.vector_table, rows.select(["id", "etag", "embedding"]))
    connection.execute(statement("loading", "update_images"))
    connection.execute(statement("loading", "clear_rejected"))
    return written


def _load_vectors(connection: Connection, table: str, rows: pa.Table) -> int:
    """Upsert rows of a vector table (id, etag, embedding) that are staged. Returns how many were written."""
    dimensions = rows["embedding"].type.list_size
    ids, same_etag, vectors = copy_out(connection, statement("loading", "known_vectors", vectors=table), dimensions)
    known = pc.is_in(rows["id"], pa.array(ids))
    ours = rows.filter(known)
    same = same_etag & (_halfvecs(ours) == vectors).all(axis=1)
    new, changed = rows.filter(pc.invert(known)), ours.filter(pa.array(~same))
    try:
        with connection.transaction():
            copy_in(connection, statement("loading", "copy_vectors", vectors=table), new)
    except psycopg.errors.UniqueViolation:  # another run has loaded one of them meanwhile
        return _merge_vectors(connection, table, pa.concat_tables([new, changed]))
    return len(new) + _merge_vectors(connection, table, changed)


def _halfvecs(rows: pa.Table) -> Halfvecs:
    return halfvecs(rows["embedding"].combine_chunks())


def _merge_vectors(connection: Connection, table: str, rows: pa.Table) -> int:
    """Upsert rows of which some may be there. Returns how many were written."""
    if not len(rows):
        return 0
    connection.execute(statement("loading", "create_incoming", dimensions=rows["embedding"].type.list_size))
    copy_in(connection, statement("loading", "copy_incoming"), rows)
    return connection.execute(statement("loading", "upsert_vectors", vectors=table)).rowcount


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
