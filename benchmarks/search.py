"""Searching: `python -m benchmarks.search [--rows N] [--dimensions N]`.

`images.search` beside the query that a person would write, with the same settings, in turns; under filters of several
selectivities beside exact answers; and faiss' HNSW on the same vectors. On a PostgreSQL of its own, loaded, indexed and
set to its recall as a run does it.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from benchmarks.load import clustered, shards
from benchmarks.needs import reported, require, run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index, graph_of
from image_retrieval.store.loading import load_vectors
from image_retrieval.store.recall import NOISE, ensure_recall
from image_retrieval.store.vector_tables import ensure_vector_table

K = 10
SELECTIVITIES = (0.5, 0.1, 0.01, 0.001, 0.0001)
COLUMNS = "image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes"
HAND_WRITTEN = (
    f"SELECT image_id, 1 - (embedding <=> %(query)s) AS similarity, {COLUMNS} FROM images.benchmark "
    f"ORDER BY embedding <=> %(query)s LIMIT {K}"
)
SEARCH = f"SELECT * FROM images.search('benchmark', %(query)s, {K})"
FILTERED = f"SELECT * FROM images.search('benchmark', %(query)s, {K}, %(filter)s)"
EXACT = f"SELECT * FROM retrieval.nearest('benchmark', %(query)s, {K}, %(filter)s, NULL, false, 0)"
Ask = Callable[[Any], list[str]]


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(100), default=200_000)
    parser.add_argument("--dimensions", type=whole(1, 4000), default=768)
    parser.add_argument("--queries", type=whole(1), default=500)
    options = parser.parse_args()
    require("faiss")
    with (
        reported(rows=options.rows, dimensions=options.dimensions, queries=options.queries, k=K) as result,
        own_services(index_from_rows=1) as settings,  # an index also where a run would make none
    ):
        fill(settings, options)
        measure(settings, options, result)


def fill(settings: Settings, options: argparse.Namespace) -> None:
    """A collection of clustered vectors, indexed; `attributes` of its images hold what filters ask for."""
    source = "s3://images/benchmark/"
    collection = Collection(name="benchmark", source=source, model=ModelOptions(name="m", source="none"))
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO retrieval.image (collection, image_id, uri, attributes) "
            "SELECT 'benchmark', i, %s || i, jsonb_build_object('share', hashint8(i)::bigint + 2147483648) "
            "FROM generate_series(1, %s) AS i",
            (source, options.rows),
        )
        ensure_vector_table(connection, collection, options.dimensions)
    for table, vectors in shards(options.rows, 10_000, options.dimensions):
        with connect(settings) as connection:
            load_vectors(connection, collection, table, vectors)
    with connect(settings) as connection:
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('m', 'none', 'vision_transformer', %s, true)",
            (options.dimensions,),
        )
        connection.execute("SELECT retrieval.show_vectors('benchmark', %s)", (collection.vector_table,))
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('benchmark', %s, 'm', %s)",
            (source, options.dimensions),
        )
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    started = time.perf_counter()
    plan = ensure_index(collection, settings)
    print(f"{plan.reason}: {time.perf_counter() - started:.0f} s")
    ensure_recall(collection, settings)


def measure(settings: Settings, options: argparse.Namespace, result: dict[str, Any]) -> None:
    """All figures of the table, each put into `result` as it is known."""
    rng = np.random.default_rng(1)
    vectors = np.concatenate(
        [clustered(min(10_000, options.rows - at), options.dimensions, at) for at in range(0, options.rows, 10_000)]
    )
    noise = rng.standard_normal((options.queries, options.dimensions)).astype(np.float32)
    queries = vectors[rng.integers(0, options.rows, options.queries)]
    queries = queries + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    asked = [HalfVector(query) for query in queries]
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        register_vector(connection)
        [(ef_search,)] = connection.execute("SELECT ef_search FROM retrieval.collection").fetchall()
        connection.execute(f"SET hnsw.ef_search = {ef_search}; SET hnsw.iterative_scan = relaxed_order".encode())

        def ask(text: str, filter: dict[str, Any] | None = None) -> Ask:
            wanted = Jsonb(filter or {})
            return lambda query: [
                row[0] for row in connection.execute(text.encode(), {"query": query, "filter": wanted}).fetchall()
            ]

        ways = {"search": ask(SEARCH), "hand": ask(HAND_WRITTEN)}
        for way in ways.values():  # warm
            in_turns({"": way}, asked)
        seconds, answers = in_turns(ways, asked)
        few = asked[:50]
        spent, found = in_turns({"exact": ask(EXACT)}, few)
        result |= {
            "ef_search": ef_search,
            "recall_at_10": recall(answers["search"][:50], found["exact"]),
            "qps": round(len(asked) / sum(seconds["search"]), 1),
            "ratio_to_hand_written": round(sum(seconds["hand"]) / sum(seconds["search"]), 3),
            "hand_written_p50_ms": milliseconds(seconds["hand"], 50),
            "p50_ms": milliseconds(seconds["search"], 50),
            "p99_ms": milliseconds(seconds["search"], 99),
            "exact_p50_ms": milliseconds(spent["exact"], 50),
            "filters": (filters := []),
        }
        for selectivity in SELECTIVITIES:
            filter = {"attributes": {"share": {"lt": int(selectivity * 2**32)}}}
            spent, found = in_turns({"search": ask(FILTERED, filter), "exact": ask(EXACT, filter)}, few)
            filters.append(
                {
                    "selectivity": selectivity,
                    "full_results": all(len(a) == len(b) for a, b in zip(found["search"], found["exact"], strict=True)),
                    "recall": recall(found["search"], found["exact"]),
                    "p50_ms": milliseconds(spent["search"], 50),
                    "exact_p50_ms": milliseconds(spent["exact"], 50),
                }
            )
    result["faiss"] = faiss_figures(vectors, queries, ef_search)


def in_turns(ways: dict[str, Ask], asked: list[Any]) -> tuple[dict[str, list[float]], dict[str, list[list[str]]]]:
    """Each query in each way; seconds, in the order asked, and answers, in the order of the queries.

    Whichever was second goes first next, and at another query than the others, so that no way finds in memory what
    another has just read.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, list[list[str]]] = {name: [[]] * len(asked) for name in ways}
    for number in range(len(asked)):
        for place, name in list(enumerate(ways))[:: 1 if number % 2 else -1]:
            at = (number + place * len(asked) // len(ways)) % len(asked)
            started = time.perf_counter()
            answers[name][at] = ways[name](asked[at])
            seconds[name].append(time.perf_counter() - started)
    return seconds, answers


def recall(found: list[list[str]], expected: list[list[str]]) -> float:
    """Share of the expected images that were found; 1 where there are none."""
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, expected, strict=True))
    wanted = sum(map(len, expected))
    return round(hits / wanted, 4) if wanted else 1.0


def milliseconds(seconds: list[float], percentile: int) -> float:
    return round(float(np.percentile(seconds, percentile)) * 1000, 2)


def faiss_figures(vectors: np.ndarray, queries: np.ndarray, ef_search: int) -> dict[str, float]:
    """The same graph in memory, in float32, one query at a time on one thread."""
    import faiss

    graph = graph_of(len(vectors))
    index = faiss.IndexHNSWFlat(vectors.shape[1], graph.m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = graph.ef_construction, ef_search
    started = time.perf_counter()
    index.add(vectors)
    build = time.perf_counter() - started
    faiss.omp_set_num_threads(1)
    seconds, found = [], []
    for query in queries:
        started = time.perf_counter()
        found.append([str(number) for number in index.search(query[None], K)[1][0]])
        seconds.append(time.perf_counter() - started)
    few = queries[:50]
    best = [[str(number) for number in np.argsort(-(vectors @ query))[:K]] for query in few]
    return {
        "build_seconds": round(build, 1),
        "recall_at_10": recall(found[: len(few)], best),
        "qps": round(len(queries) / sum(seconds), 1),
        "p50_ms": milliseconds(seconds, 50),
    }


if __name__ == "__main__":
    run(main)
