"""Filtered searches: `python -m benchmarks.filters [--rows N] [--dimensions N] [--queries N] [--folder DIR]`.

`images.search` under filters of several selectivities and kinds, beside exact answers and beside the query that a
person would write for pgvector's own iterative scan. Once before and once after the upkeep has made the indexes that
these filters asked for. On a PostgreSQL of its own, whose index is built as a run does it; with `--folder` it stays
there, and the next measurement finds it filled.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from pydantic import SecretStr

from benchmarks.load import CLUSTERS, clustered
from benchmarks.needs import reported, run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.local import services
from image_retrieval.settings import Settings
from image_retrieval.store.binary_copy import copy_blocks, digests
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.recall import ensure_recall
from image_retrieval.store.sql import statement
from image_retrieval.store.vector_tables import ensure_vector_table

SHARD = 10_000
SOURCE = "s3://images/benchmark/"


def collection_of() -> Collection:
    return Collection(name="benchmark", source=SOURCE, model=ModelOptions(name="m", source="none"))


def fill(settings: Settings, rows: int, dimensions: int) -> None:
    """A collection of clustered vectors, indexed, whose images have columns and attributes of every selectivity.

    `group_id` is the cluster of the vector, ten clusters a group, so a filter by it is anything but independent of the
    query.
    """
    collection = collection_of()
    with connect(settings) as connection:
        ensure_vector_table(connection, collection, dimensions)
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('m', 'none', 'vision_transformer', %s, true)",
            (dimensions,),
        )
        connection.execute("SELECT retrieval.show_vectors('benchmark', %s)", (collection.vector_table,))
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('benchmark', %s, 'm', %s)",
            (SOURCE, dimensions),
        )
    for start in range(0, rows, SHARD):
        fill_shard(settings, collection, start, min(SHARD, rows - start), dimensions)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    started = time.perf_counter()
    plan = ensure_index(collection, settings)
    print(f"{plan.reason}: {time.perf_counter() - started:.0f} s", flush=True)
    ensure_recall(collection, settings, seed=1)


def fill_shard(settings: Settings, collection: Collection, start: int, rows: int, dimensions: int) -> None:
    vectors = clustered(rows, dimensions, start)
    clusters = np.random.default_rng(start).integers(0, CLUSTERS, rows)  # the first that `clustered` draws
    with connect(settings) as connection:
        connection.execute(
            """
            INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width, height,
                                         format, resampled_uri, group_id, attributes, phash, mode)
            OVERRIDING SYSTEM VALUE
            SELECT i, 'benchmark', i, %(source)s || i || '.jpg', md5(i::text), 70000, now(),
                   md5(i::text) || md5(i::text), h %% 10000, 900, 'JPEG',
                   's3://image-retrieval/resampled/benchmark/' || i || '_resample.png', 'g' || cluster / 10,
                   jsonb_build_object('price', h2 %% 100000, 'decile', h %% 10, 'percent', h %% 100,
                                      'permille', h %% 1000, 'myriad', h %% 10000, 'colour', 'red'),
                   i * 7919, 'RGB'
            FROM unnest(%(clusters)s::integer[]) WITH ORDINALITY AS c (cluster, place),
                 LATERAL (SELECT %(start)s + place AS i) AS number,
                 LATERAL (SELECT hashint8(i)::bigint + 2147483648 AS h, hashint8(i * 3)::bigint + 2147483648 AS h2) AS hash
            """,
            {"source": SOURCE, "clusters": clusters.tolist(), "start": start},
        )
        values = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimensions)
        ids = pa.array(range(start + 1, start + rows + 1), pa.int64())
        embeddings = pa.chunked_array([values])
        table = pa.table({"id": ids, "etag": pa.array(["e"] * rows)})
        table = table.append_column("digest", digests(embeddings)).append_column("embedding", embeddings)
        copy = statement("loading", "copy_vectors", vectors=collection.vector_table)
        with connection.cursor().copy(copy) as stream:
            for block in copy_blocks(table):
                stream.write(block)
