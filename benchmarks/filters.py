"""Filtered searches: `python -m benchmarks.filters [--rows N] [--dimensions N] [--queries N] [--folder DIR]`.

`images.search` under filters of several selectivities and kinds, beside exact answers and beside the query that a
person would write for pgvector's own iterative scan. Once before and once after the upkeep has made the indexes that
these filters asked for. On a PostgreSQL of its own, whose index is built as a run does it; with `--folder` it stays
there, and the next measurement finds it filled.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg
import pyarrow as pa
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from benchmarks.load import CLUSTERS, clustered
from benchmarks.needs import reported, run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.local import services
from image_retrieval.settings import Settings
from image_retrieval.store.binary_copy import copy_blocks, digests
from image_retrieval.store.connection import connect
from image_retrieval.store.costs import measure_costs
from image_retrieval.store.filter_indexes import ensure_filter_indexes
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.recall import NOISE, ensure_recall
from image_retrieval.store.sql import statement
from image_retrieval.store.vector_tables import ensure_vector_table

K = 10
SHARD = 10_000
UNINDEXED = 10  # queries under a filter that no index serves, which take long
SEARCH = f"SELECT image_id FROM images.search('benchmark', %(query)s, {K})"
FILTERED = f"SELECT image_id FROM images.search('benchmark', %(query)s, {K}, %(filter)s)"
EXACT = f"SELECT image_id FROM retrieval.nearest('benchmark', %(query)s, {K}, %(filter)s, NULL, false, 0)"
EXPLAIN = f"SELECT told FROM images.explain_search('benchmark', %(query)s, {K}, %(filter)s) WHERE what = 'way'"
HAND_WRITTEN = (
    f"SELECT image_id FROM images.benchmark WHERE {{condition}} ORDER BY embedding <=> %(query)s::halfvec LIMIT {K}"
)
FILTERS: list[tuple[str, dict[str, Any], str]] = [
    *(
        (f"width {share:.2%}", {"width": {"lt": int(share * 10_000)}}, f"width < {int(share * 10_000)}")
        for share in (0.1, 0.03, 0.01, 0.001, 0.0001)
    ),
    *(
        (f"attribute {share:.2%}", {"attributes": {key: 3}}, f"attributes @> jsonb_build_object('{key}', 3)")
        for share, key in ((0.1, "decile"), (0.01, "percent"), (0.001, "permille"), (0.0001, "myriad"))
    ),
    *(
        (
            f"range of an attribute {share:.2%}",
            {"attributes": {"price": {"lt": int(share * 100_000)}}},
            f"(attributes ->> 'price')::numeric < {int(share * 100_000)}",
        )
        for share in (0.1, 0.01, 0.001, 0.0001)
    ),
    ("group_id 1.00%, far from most queries", {"group_id": "g7"}, "group_id = 'g7'"),
]
SOURCE = "s3://images/benchmark/"


def collection_of() -> Collection:
    return Collection(name="benchmark", source=SOURCE, model=ModelOptions(name="m", source="none"), filter_indexes=True)


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
            INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width,
                                         height, format, resampled_uri, group_id, attributes, phash, mode)
            OVERRIDING SYSTEM VALUE
            SELECT i, 'benchmark', i, %(source)s || i || '.jpg', md5(i::text), 70000, now(),
                   md5(i::text) || md5(i::text), h %% 10000, 900, 'JPEG',
                   's3://image-retrieval/resampled/benchmark/' || i || '_resample.png', 'g' || cluster / 10,
                   jsonb_build_object('price', h2 %% 100000, 'decile', h %% 10, 'percent', h %% 100,
                                      'permille', h %% 1000, 'myriad', h %% 10000, 'colour', 'red'),
                   i * 7919, 'RGB'
            FROM unnest(%(clusters)s::integer[]) WITH ORDINALITY AS c (cluster, place),
                 LATERAL (SELECT %(start)s + place AS i) AS number,
                 LATERAL (SELECT hashint8(i)::bigint + 2147483648 AS h,
                                 hashint8(i * 3)::bigint + 2147483648 AS h2) AS hash
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


def measure(settings: Settings, options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Each filter before and after the upkeep made indexes for it; each figure is put into `result` as it is known."""
    collection = collection_of()
    asked = queries_of(options)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        register_vector(connection)
        [(ef_search,)] = connection.execute("SELECT ef_search FROM retrieval.collection").fetchall()
        connection.execute(f"SET hnsw.ef_search = {ef_search}; SET hnsw.iterative_scan = relaxed_order".encode())
        plain = [timed(connection, SEARCH, query)[0] for query in asked * 2][len(asked) :]
        result |= {"plain_p50_ms": milliseconds(plain, 50), "costs": measure_costs(collection, settings)}
        result["without_indexes"] = [figures(connection, settings, asked[:UNINDEXED], *one) for one in FILTERS]
        result["upkeep"] = ensure_filter_indexes(collection, settings)
        result["costs_with_indexes"] = measure_costs(collection, settings)
        result["with_indexes"] = [figures(connection, settings, asked, *one) for one in FILTERS]


def queries_of(options: argparse.Namespace) -> list[HalfVector]:
    """Vectors near stored ones, as of new pictures."""
    rng = np.random.default_rng(1)
    vectors = clustered(min(SHARD, options.rows), options.dimensions, 0)
    noise = rng.standard_normal((options.queries, options.dimensions)).astype(np.float32)
    near = vectors[rng.integers(0, len(vectors), options.queries)]
    return [HalfVector(query) for query in near + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)]


def figures(
    connection: psycopg.Connection[Any],
    settings: Settings,
    asked: list[HalfVector],
    name: str,
    filter: dict[str, Any],
    condition: str,
) -> dict[str, Any]:
    """Times and recall of the house's search and of pgvector's iterative scan, which take turns.

    `cpu_ms` is that of the server's process, in which other load on the machine hardly shows.
    """
    seconds: dict[str, list[float]] = {"search": [], "iterative": []}
    rows, hits, busy = Counter[str](), Counter[str](), {"search": 0.0, "iterative": 0.0}
    hand, expected_rows, full = HAND_WRITTEN.format(condition=condition), 0, True
    server = psutil.Process(connection.info.backend_pid)
    for number, query in enumerate(asked):
        _, exact = timed(connection, EXACT, query, filter)
        expected_rows += len(exact)
        for way in ("search", "iterative") if number % 2 else ("iterative", "search"):
            before = sum(server.cpu_times()[:2])
            spent, found = timed(connection, FILTERED if way == "search" else hand, query, filter)
            busy[way] += sum(server.cpu_times()[:2]) - before
            seconds[way].append(spent)
            rows[way] += len(found)
            hits[way] += len(set(found) & set(exact))
            full = full and (way != "search" or len(found) == len(exact))
        note(settings, filter, seconds["search"][-1])
    wanted = max(1, expected_rows)
    found_by = connection.execute(EXPLAIN, {"query": asked[0], "filter": Jsonb(filter)}).fetchone()
    told = {
        "filter": name,
        "full": full,
        "recall": round(hits["search"] / wanted, 4),
        "p50_ms": milliseconds(seconds["search"], 50),
        "p95_ms": milliseconds(seconds["search"], 95),
        "cpu_ms": round(busy["search"] / len(asked) * 1000, 1),
        "iterative_recall": round(hits["iterative"] / wanted, 4),
        "iterative_rows": round(rows["iterative"] / wanted, 4),
        "iterative_p50_ms": milliseconds(seconds["iterative"], 50),
        "iterative_cpu_ms": round(busy["iterative"] / len(asked) * 1000, 1),
        "way": found_by[0] if found_by else None,
    }
    print(told, flush=True)
    return told


def note(settings: Settings, filter: dict[str, Any], seconds: float) -> None:
    """Note a search as the service does, but at once."""
    with connect(settings) as connection:
        searches = [{"collection": "benchmark", "filter": filter, "seconds": seconds}]
        connection.execute(statement("filters", "note_uses"), {"searches": Jsonb(searches), "slow": 0})


def timed(
    connection: psycopg.Connection[Any], text: str, query: HalfVector, filter: dict[str, Any] | None = None
) -> tuple[float, list[str]]:
    """Seconds, and the images that were found."""
    started = time.perf_counter()
    found = connection.execute(text.encode(), {"query": query, "filter": Jsonb(filter or {})}).fetchall()
    return time.perf_counter() - started, [row[0] for row in found]


def milliseconds(seconds: list[float], percentile: int) -> float:
    return round(float(np.percentile(seconds, percentile)) * 1000, 2)


@contextmanager
def services_of(folder: Path | None) -> Iterator[Settings]:
    """A PostgreSQL of its own, that ends with the block unless a folder keeps it."""
    if folder is None:
        with own_services(index_from_rows=1) as settings:
            yield settings
        return
    services.up(folder, print)
    url = SecretStr(services.database_url(folder, services.DATABASE))
    yield Settings(_env_file=folder / "services.env", home=folder, database_url=url, index_from_rows=1)


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(1000), default=200_000)
    parser.add_argument("--dimensions", type=whole(1, 4000), default=384)
    parser.add_argument("--queries", type=whole(1), default=50)
    parser.add_argument("--folder", type=Path, help="keeps the services and their data there")
    options = parser.parse_args()
    facts = {"rows": options.rows, "dimensions": options.dimensions, "queries": options.queries, "k": K}
    with reported(**facts) as result, services_of(options.folder) as settings:
        if not is_filled(settings):
            fill(settings, options.rows, options.dimensions)
        measure(settings, options, result)


def is_filled(settings: Settings) -> bool:
    with psycopg.connect(settings.database()) as connection:
        return connection.execute("SELECT FROM retrieval.collection WHERE name = 'benchmark'").fetchone() is not None


if __name__ == "__main__":
    run(main)
