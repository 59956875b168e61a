"""Loading the vector table: `python -m benchmarks.load [--rows N] [--dimensions N]`.

Beside it a bare COPY, which streams a prepared buffer into an equal table, and the same load again, of which nothing
is to be written. On a PostgreSQL of its own, shard by shard as the upsert task does. All three take turns, and the
median of the turns counts.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import psycopg
import pyarrow as pa

from benchmarks.needs import run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.settings import Settings
from image_retrieval.store.binary_copy import copy_blocks, digests
from image_retrieval.store.connection import connect
from image_retrieval.store.loading import load_vectors
from image_retrieval.store.sql import statement
from image_retrieval.store.vector_tables import ensure_vector_table

CLUSTERS = 1000
Part = tuple[pa.Table, pa.ChunkedArray]


def clustered(rows: int, dimensions: int, seed: int) -> np.ndarray:
    """Vectors of length 1 (rows, dimensions) around some centres, as those of images are."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, dimensions), np.float32)
    vectors = centres[rng.integers(0, CLUSTERS, rows)] + 0.5 * rng.standard_normal((rows, dimensions), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def shards(rows: int, shard: int, dimensions: int) -> Iterator[Part]:
    """Facts and vectors of the images 1 to `rows`."""
    now = datetime.now(UTC)
    for start in range(0, rows, shard):
        ids = range(start + 1, min(start + shard, rows) + 1)
        facts = {"size": 70_000, "last_modified": now, "width": 1200, "height": 900, "format": "JPEG", "mode": "RGB"}
        table = pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "etag": pa.array([f"{id:032x}" for id in ids]),
                "sha256": pa.array([f"{id:064x}" for id in ids]),
                "phash": pa.array([id * 7919 for id in ids], pa.int64()),
                "captured_at": pa.nulls(len(ids), pa.timestamp("us")),
                "resampled_uri": pa.array([f"s3://image-retrieval/resampled/x/{id}_resample.png" for id in ids]),
                **{name: pa.array([value] * len(ids)) for name, value in facts.items()},
            }
        )
        values = pa.array(clustered(len(ids), dimensions, start).reshape(-1))
        yield table, pa.chunked_array([pa.FixedSizeListArray.from_arrays(values, dimensions)])


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(1), default=200_000)
    parser.add_argument("--dimensions", type=whole(1, 16_000), default=1024)
    parser.add_argument("--shard", type=whole(1), default=10_000)
    parser.add_argument("--turns", type=whole(1), default=3)
    options = parser.parse_args()
    with own_services() as settings:
        seconds = measure(options, settings)
    rates = {name: options.rows / statistics.median(spent) for name, spent in seconds.items()}
    for name, spent in seconds.items():
        print(f"{name:<10}{rates[name]:>10.0f} rows/s   turns: {', '.join(f'{turn:.1f} s' for turn in spent)}")
    ratios = [bare / ours for bare, ours in zip(seconds["bare COPY"], seconds["load"], strict=True)]
    print(
        json.dumps(
            {
                "rows": options.rows,
                "dimensions": options.dimensions,
                "shard": options.shard,
                "turns": options.turns,
                "rows_per_second": round(rates["load"]),
                "bare_copy_rows_per_second": round(rates["bare COPY"]),
                "ratio_to_bare_copy": round(statistics.median(ratios), 2),
                "noop_rows_per_second": round(rates["again"]),
            }
        )
    )


def measure(options: argparse.Namespace, settings: Settings) -> dict[str, list[float]]:
    """Seconds of each way, a number a turn."""
    source = "s3://images/benchmark/"
    collection = Collection(name="benchmark", source=source, model=ModelOptions(name="m", source="none"))
    table, seconds = collection.vector_table, defaultdict[str, list[float]](list)
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO retrieval.image (collection, image_id, uri) "
            "SELECT 'benchmark', i, %s || i FROM generate_series(1, %s) AS i",
            (source, options.rows),
        )
    parts = list(shards(options.rows, options.shard, options.dimensions))
    for _ in range(options.turns):
        for name, work in (("bare COPY", bare_copy), ("load", load), ("again", load)):
            if name != "again":
                empty(settings, collection, options.dimensions)
            before = written(settings, table)
            seconds[name].append(work(settings, collection, parts))
            if written(settings, table) - before != (0 if name == "again" else options.rows):
                raise SystemExit(f"{name} has written another number of rows than it was to")
    return seconds


def empty(settings: Settings, collection: Collection, dimensions: int) -> None:
    """A new vector table, and nothing left to be written from before."""
    with connect(settings) as connection:
        connection.execute("SELECT retrieval.drop_vectors(%s, %s)", (collection.name, collection.model.name))
        ensure_vector_table(connection, collection, dimensions)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def written(settings: Settings, table: str) -> int:
    """How many rows of the vector table have been written so far, also again."""
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        row = connection.execute(
            "SELECT pg_stat_force_next_flush(), n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = %s",
            (table,),
        ).fetchone()
        return row[1] if row else 0


def bare_copy(settings: Settings, collection: Collection, parts: list[Part]) -> float:
    """Stream what was put together before into the table, in one statement."""
    columns = [
        table.select(["id", "etag"]).append_column("digest", digests(vectors)).append_column("embedding", vectors)
        for table, vectors in parts
    ]
    prepared = list(copy_blocks(pa.concat_tables(columns)))
    copy = statement("loading", "copy_vectors", vectors=collection.vector_table)

    def send() -> None:
        with connect(settings) as connection, connection.cursor().copy(copy) as stream:
            for block in prepared:
                stream.write(block)

    return timed(send)


def load(settings: Settings, collection: Collection, parts: list[Part]) -> float:
    """Load all shards, each in a transaction."""

    def send() -> None:
        for table, vectors in parts:
            with connect(settings) as connection:
                load_vectors(connection, collection, table, vectors)

    return timed(send)


if __name__ == "__main__":
    run(main)
