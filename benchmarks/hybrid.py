"""Hybrid searches beside plain vector searches: `python -m benchmarks.hybrid [--rows N --dimensions N]`.

The images are those of benchmarks/filters.py, with the captions of benchmarks/words.py, half of them Chinese. Each
query is a vector near a stored one, and one to three words of a caption. The searches run in turn on one connection.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from benchmarks.filters import K, fill, is_filled, queries_of, services_of
from benchmarks.needs import reported, run, whole
from benchmarks.words import captions, milliseconds, on_cpu
from image_retrieval.settings import Settings
from image_retrieval.store.captions import count_words
from image_retrieval.store.connection import connect

WAYS = {
    "vector": f"SELECT image_id FROM images.search('benchmark', %(query)s, {K}, %(filter)s)",
    "words": f"SELECT image_id FROM images.search_words('benchmark', %(words)s, {K}, %(filter)s)",
    "hybrid": f"SELECT image_id FROM images.search_hybrid('benchmark', %(words)s, {K}, %(filter)s, query => %(query)s)",
}
FILTERS: dict[str, dict[str, Any]] = {"no filter": {}, "1 % by group": {"group_id": "g7"}}
CALIBRATION = {name: {"slope": 10, "middle": 0.5} for name in ("text_image_en", "text_image_zh")}


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(1000), default=200_000)
    parser.add_argument("--dimensions", type=whole(1, 4000), default=384)
    parser.add_argument("--queries", type=whole(1), default=200)
    parser.add_argument("--folder", type=Path, help="keeps the services and their data there")
    options = parser.parse_args()
    facts = {"rows": options.rows, "dimensions": options.dimensions, "queries": options.queries, "k": K}
    with reported(**facts) as result, services_of(options.folder) as settings:
        if not is_filled(settings):
            fill(settings, options.rows, options.dimensions)
            caption(settings, options.rows)
        measure(settings, options, result)


def caption(settings: Settings, rows: int) -> None:
    """Give every image a caption, count their words, and give the model a calibration."""
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE told (id bigint PRIMARY KEY, caption text)")
        with connection.cursor().copy("COPY told FROM STDIN") as copy:
            for number, (text, _) in enumerate(captions(rows), 1):
                copy.write_row((number, text))
        connection.execute("UPDATE retrieval.image AS i SET caption = t.caption FROM told AS t WHERE t.id = i.id")
        connection.execute("UPDATE retrieval.model SET calibration = %s", (Jsonb(CALIBRATION),))
        connection.execute("VACUUM ANALYZE retrieval.image")
    with connect(settings) as counting:
        count_words(counting, "benchmark")


def measure(settings: Settings, options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Milliseconds of each kind of search under each filter, and those of them that the server computed."""
    told = [words for _, words in captions(min(options.rows, 10_000))]
    rng = np.random.default_rng(3)
    at = rng.integers(0, len(told), options.queries).tolist()
    words = [" ".join(told[each][: 1 + number % 3]) for number, each in enumerate(at)]
    result["searches"] = found = []
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        register_vector(connection)
        for name, filter in FILTERS.items():
            seconds: dict[str, list[float]] = {way: [] for way in WAYS}
            busy: dict[str, list[float]] = {way: [] for way in WAYS}
            counts = dict.fromkeys(WAYS, 0)
            for number, (query, text) in enumerate(zip(queries_of(options), words, strict=True)):
                asked = {"query": query, "words": text, "filter": Jsonb(filter)}
                for way in sorted(WAYS, reverse=bool(number % 2)):  # the first one reads what the others find in memory
                    started, before = time.perf_counter(), on_cpu(connection)
                    counts[way] += len(connection.execute(WAYS[way].encode(), asked).fetchall())
                    seconds[way].append(time.perf_counter() - started)
                    busy[way].append(on_cpu(connection) - before)
            for way in WAYS:
                figures = {"way": way, "filter": name, "results": counts[way] / options.queries}
                figures |= {f"p{p}_ms": milliseconds(seconds[way], p) for p in (50, 95)}
                figures |= {"p50_cpu_ms": milliseconds(busy[way], 50)}
                found.append(figures)
                print(figures, flush=True)


if __name__ == "__main__":
    run(main)
