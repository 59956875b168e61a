"""Searches for words in captions: `python -m benchmarks.words [--rows N] [--queries N]`.

Half of the captions are Chinese, half English, of made-up words whose frequencies follow Zipf's law; a few Chinese ones
are in traditional characters. Measured is how long it takes to add the words and their index to a filled table, as the
migration to schema version 17 does. Measured are also searches: for Chinese words of two characters and for English
phrases of two words, drawn from captions and evenly from the vocabulary, without a filter, with one that 1 % match and
an index has (a group), and with one that it has not; and for the most frequent words of all.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from benchmarks.needs import reported, run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table

WORDS = 10  # of a caption
VOCABULARY = 5000
K = 10
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in ("a", "e", "i", "o", "u", "ai", "ou")]
ADD = """
ALTER TABLE retrieval.image
    ADD COLUMN words tsvector GENERATED ALWAYS AS (retrieval.words_of_both(caption, told)) STORED;
CREATE INDEX image_words ON retrieval.image USING gin (words) WHERE words IS NOT NULL;
"""
SEARCH = "SELECT image_id FROM images.search_words('benchmark', %s, %s, %s)"
FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "1 % by group": {"group_id": "g7"},
    "1 % by attribute": {"attributes": {"share": 7}},
}


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(1000), default=1_000_000)
    parser.add_argument("--queries", type=whole(1), default=200)
    options = parser.parse_args()
    with reported(rows=options.rows, queries=options.queries, k=K) as result, own_services() as settings:
        fill(settings, options.rows, result)
        measure(settings, options, result)


def vocabulary() -> tuple[list[str], list[str]]:
    """Chinese words of two characters, and English ones of two or three syllables, all different."""
    rng = np.random.default_rng(0)
    pairs = rng.permutation(1000 * 1000)[:VOCABULARY]
    chinese = [chr(0x4E00 + 7 * (pair // 1000)) + chr(0x4E00 + 7 * (pair % 1000)) for pair in pairs.tolist()]
    triples = rng.permutation(len(SYLLABLES) ** 3)[:VOCABULARY].tolist()
    english = [SYLLABLES[n % 98] + SYLLABLES[n // 98 % 98] + (SYLLABLES[n // 98**2] if n % 3 else "") for n in triples]
    return chinese, english


def captions(rows: int) -> Iterator[tuple[str, list[str]]]:
    """Captions, and the words that each is made of."""
    shares = 1 / (np.arange(VOCABULARY) + 3.0)
    rng, words = np.random.default_rng(1), vocabulary()
    for start in range(0, rows, 10_000):
        drawn = rng.choice(VOCABULARY, (min(10_000, rows - start), WORDS), p=shares / shares.sum())
        for number, row in enumerate(drawn.tolist()):
            chosen = [words[number % 2][each] for each in row]
            yield (" " if number % 2 else "").join(chosen), chosen


def fill(settings: Settings, rows: int, result: dict[str, Any]) -> None:
    """A collection of captioned images that had no words before."""
    collection = Collection(name="benchmark", source="s3://images/", model=ModelOptions(name="m", source="none"))
    with connect(settings) as connection:
        connection.execute("ALTER TABLE retrieval.image DROP COLUMN words")
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "VALUES ('m', 'none', 'vision_transformer', 4, true)"
        )
        started = time.perf_counter()
        columns = "collection, image_id, uri, caption, group_id, attributes"
        with connection.cursor().copy(f"COPY retrieval.image ({columns}) FROM STDIN".encode()) as copy:
            for number, (caption, _) in enumerate(captions(rows)):
                part = number // 2 * 7919 % 100  # both languages in each
                row = (
                    "benchmark",
                    str(number),
                    f"s3://images/{number}.jpg",
                    caption,
                    f"g{part}",
                    f'{{"share": {part}}}',
                )
                copy.write_row(row)
        result["load_seconds"] = round(time.perf_counter() - started, 1)
        started = time.perf_counter()
        connection.execute(ADD.encode())
        result["words_seconds"] = round(time.perf_counter() - started, 1)
        ensure_vector_table(connection, collection, 4)
        connection.execute(
            f"INSERT INTO retrieval.{collection.vector_table} (id, etag, embedding) "
            "SELECT id, 'e', '[1,2,3,4]' FROM retrieval.image".encode()
        )
        connection.execute("SELECT retrieval.show_vectors('benchmark', %s)", (collection.vector_table,))
        connection.execute(
            "INSERT INTO retrieval.collection (name, source, model, dimensions) "
            "VALUES ('benchmark', 's3://images/', 'm', 4)"
        )
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        sizes = "SELECT pg_relation_size('retrieval.image_words') / 2^20, pg_table_size('retrieval.image') / 2^20"
        [(index, table)] = connection.execute(sizes).fetchall()
    result |= {"index_mib": round(index), "table_mib": round(table)}


def asked(rows: int, queries: int) -> dict[str, list[str]]:
    """Searches of each kind."""
    rng, (chinese, english) = np.random.default_rng(2), vocabulary()
    drawn = [words for _, words in captions(min(rows, 20_000))]
    ranks = rng.integers(0, VOCABULARY, queries).tolist()
    at = rng.integers(0, len(drawn) // 2, queries).tolist()
    places = rng.integers(0, WORDS - 1, queries).tolist()
    return {
        "Chinese words": [drawn[2 * each][place] for each, place in zip(at, places, strict=True)],
        "Chinese vocabulary": [chinese[rank] for rank in ranks],
        "English phrases": [
            f'"{" ".join(drawn[2 * each + 1][place : place + 2])}"' for each, place in zip(at, places, strict=True)
        ],
        "English vocabulary": [english[rank] for rank in ranks],
        "most frequent": [
            *chinese[:10],
            *english[:10],
            *(f"{a} {b}" for a, b in pairwise(english[:10])),
        ],
        "alternatives": [f"{chinese[rank]} or {english[rank]}" for rank in ranks],
    }


def measure(settings: Settings, options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Milliseconds of each kind of search under each filter, and those of them that the server computed."""
    result["searches"] = found = []
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        for kind, searches in asked(options.rows, options.queries).items():
            for name, filter in FILTERS.items():
                seconds, busy, counts = [], [], []
                for words in searches:
                    started, before = time.perf_counter(), on_cpu(connection)
                    counts.append(len(connection.execute(SEARCH, (words, K, Jsonb(filter))).fetchall()))
                    seconds.append(time.perf_counter() - started)
                    busy.append(on_cpu(connection) - before)
                p50, p95, most = (milliseconds(seconds, at) for at in (50, 95, 100))
                told = {"searches": kind, "filter": name, "p50_ms": p50, "p95_ms": p95, "max_ms": most}
                told |= {"p95_cpu_ms": milliseconds(busy, 95), "results": round(sum(counts) / len(counts), 1)}
                found.append(told)
                print(told, flush=True)


def on_cpu(connection: psycopg.Connection[Any]) -> float:
    """The seconds that a connection's server process has computed: its time without waits for other processes."""
    return int(Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def milliseconds(seconds: list[float], percentile: int) -> float:
    return round(float(np.percentile(seconds, percentile)) * 1000, 1)


if __name__ == "__main__":
    run(main)
