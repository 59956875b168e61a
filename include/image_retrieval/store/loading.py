"""Loads a shard by binary COPY: new vectors straight into their table, others through a staging table."""

from dataclasses import asdict, dataclass

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.collection import Collection
from image_retrieval.errors import Reason
from image_retrieval.shards import Shard
from image_retrieval.store.binary_copy import copy_in, digests
from image_retrieval.store.connection import Connection
from image_retrieval.store.locks import keep_removals_out
from image_retrieval.store.rows import fetch_one
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
    "colours": pa.string(),
    "sharpness": pa.float32(),
    "complexity": pa.float32(),
    "resampled_uri": pa.string(),
}


@dataclass(frozen=True, slots=True)
class RejectedImage:
    """An object that a stage could not use; `model` where it is that model's rejection alone."""

    uri: str
    etag: str
    stage: str
    model: str | None
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """What became of a shard's images, and the seconds that each stage worked on them."""

    images: int
    resampled: int
    embedded: int
    upserted: int
    rejected: int
    resample_seconds: float
    embed_seconds: float
    upsert_seconds: float


@dataclass(frozen=True, slots=True)
class _Known:
    """Ids of staged rows: of images that are gone, of vectors that are there as they are, and of others."""

    removed: list[int]
    unchanged: list[int]
    changed: list[int]


def shard_is_loaded(connection: Connection, shard: Shard) -> bool:
    """Whether a shard has its line in `retrieval.shard`.

    Locks the shard until the transaction ends: a second caller waits here.
    """
    connection.execute(statement("loading", "lock_shard"), _key(shard))
    return connection.execute(statement("loading", "find_shard"), _key(shard)).fetchone() is not None


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
    known = fetch_one(connection, _Known, statement("loading", "compare_vectors", vectors=table), span)
    theirs = rows.filter(pc.is_in(rows["id"], pa.array(known.changed, pa.int64())))
    if settled := known.removed + known.unchanged + known.changed:
        rows = rows.filter(pc.invert(pc.is_in(rows["id"], pa.array(settled, pa.int64()))))
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
    rows: list[RejectedImage],
    max_attempts: int,
    *,
    also: Collection | None = None,
) -> None:
    """Record rejected objects and drop vectors that a final one made outdated.

    `also`: the collection under another model, whose outdated vectors are deleted, too.
    """
    if not rows:
        return
    key = {"collection": collection.name, "run_id": run_id}
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("loading", "reject"),
            [
                {**key, **asdict(row), "transient": Reason(row.reason).transient, "max_attempts": max_attempts}
                for row in rows
            ],
        )
    for entry in (collection, also) if also else (collection,):
        connection.execute(statement("loading", "remove_outdated", vectors=entry.vector_table), key)


def write_shard(connection: Connection, shard: Shard, counts: ShardCounts) -> None:
    """Record that a shard is in the table."""
    connection.execute(statement("loading", "write_shard"), {**_key(shard), **asdict(counts)})


def _key(shard: Shard) -> dict[str, str | int]:
    return {"collection": shard.collection, "run_id": shard.run_id, "shard": shard.number}
