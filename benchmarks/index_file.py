"""The diff of an index file with the tables: `python -m benchmarks.index_file [--lines N] [--format csv]`.

What a run does between reading the file and writing its manifests, on a PostgreSQL of its own that holds a row and a
vector for each line. A hundredth of the lines differs: half of them have a new version, half a new caption. Versions
are those of a column, or those of a listing of the bucket, which is made up as it is read.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from benchmarks.needs import run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.pipeline.listing import compare
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table

PREFIX = "s3://images/benchmark/"
PAGE = 1000  # objects that a store tells at once
FIRST_SEEN = datetime(2026, 1, 1, tzinfo=UTC)
FILL = (
    """
    INSERT INTO retrieval.image (collection, image_id, uri, etag, size, last_modified, sha256, width, height, format,
        mode, phash, resampled_uri, caption, about)
    SELECT 'benchmark', key, %(prefix)s || key || '.jpg', lpad(to_hex(i), 32, '0'), 70000, %(seen)s,
        lpad(to_hex(i), 64, '0'), 1200, 900, 'JPEG', 'RGB', i,
        's3://image-retrieval/resampled/benchmark/' || key || '_resample.png',
        'caption ' || i, jsonb_build_object('caption', 'caption ' || i)
    FROM generate_series(0, %(lines)s - 1) AS i,
         LATERAL (SELECT lpad((i / 1000)::text, 5, '0') || '/' || lpad(i::text, 9, '0') AS key) AS named
    """,
    """
    INSERT INTO retrieval.vector_benchmark_m (id, etag, embedding, digest)
    SELECT id, etag, array_fill(1 / sqrt(%(dimensions)s), ARRAY[%(dimensions)s])::halfvec, id
    FROM retrieval.image ORDER BY id
    """,
)


def uri_of(number: int) -> str:
    return f"{PREFIX}{number // PAGE:05}/{number:09}.jpg"


def etag_of(number: int) -> str:
    return f"{number + (number % 200 == 100):032x}"


class MadeUp(ObjectStore):
    """A bucket that holds what is made up when it is listed; files are those of this machine."""

    def __init__(self, settings: Settings, objects: int) -> None:
        super().__init__(settings)
        self._objects = objects
        self.seconds = 0.0  # that making it up took

    def pages(self, prefix: str, **_: Any) -> Iterator[list[StoredObject]]:
        for start in range(0, self._objects, PAGE):
            started = time.perf_counter()
            numbers = range(start, min(start + PAGE, self._objects))
            page = [
                StoredObject(uri, uri.removeprefix(prefix), etag_of(number), 70_000, FIRST_SEEN)
                for number, uri in zip(numbers, map(uri_of, numbers), strict=True)
            ]
            self.seconds += time.perf_counter() - started
            yield page


def write_file(path: Path, lines: int, *, told: bool) -> None:
    """Write an index file, a part at a time; with `told`, it has a column of versions."""
    with ExitStack() as stack:
        writer: Any = None
        for start in range(0, lines, PAGE):
            part = part_of(range(start, min(start + PAGE, lines)), told=told)
            if path.suffix == ".jsonl":
                writer = writer or stack.enter_context(path.open("w"))
                writer.write("".join(json.dumps(line) + "\n" for line in part.to_pylist()))
                continue
            form = pq.ParquetWriter if path.suffix == ".parquet" else pv.CSVWriter
            writer = writer or stack.enter_context(form(path, part.schema))
            writer.write_table(part)


def part_of(numbers: range, *, told: bool) -> pa.Table:
    versions = {"etag": list(map(etag_of, numbers))} if told else {}
    captions = [f"caption {number}{' anew' if number % 200 == 0 else ''}" for number in numbers]
    return pa.table({"uri": list(map(uri_of, numbers)), **versions, "caption": captions})


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=whole(1), default=1_000_000)
    parser.add_argument("--dimensions", type=whole(1, 4000), default=384)
    parser.add_argument("--format", choices=("csv", "jsonl", "parquet"), default="csv")
    parser.add_argument("--turns", type=whole(1), default=3)
    options = parser.parse_args()
    with own_services() as settings:
        fill(options, settings)
        seconds = {versions: measure(options, settings, versions) for versions in ("told", "listed")}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for versions, spent in seconds.items():
        print(f"versions {versions:6}: {' '.join(f'{turn:6.1f}' for turn in spent)} s")
    print(f"peak memory of this process: {peak:.0f} MB")
    middle = {f"seconds_{versions}": round(statistics.median(spent), 1) for versions, spent in seconds.items()}
    print(json.dumps({"lines": options.lines, "format": options.format, **middle, "peak_memory_mb": round(peak)}))


def collection_of(path: Path) -> Collection:
    return Collection(name="benchmark", source=f"file://{path}", model=ModelOptions(name="m", source="none"))


def fill(options: argparse.Namespace, settings: Settings) -> None:
    """Fill the tables."""
    rows = {"prefix": PREFIX, "seen": FIRST_SEEN, "lines": options.lines, "dimensions": options.dimensions}
    with connect(settings) as connection:
        ensure_vector_table(connection, collection_of(Path("/list.csv")), options.dimensions)
        for query in FILL:
            connection.execute(query.encode(), rows)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) retrieval.image")
        connection.execute("VACUUM (ANALYZE) retrieval.vector_benchmark_m")
        connection.execute("CHECKPOINT")


def measure(options: argparse.Namespace, settings: Settings, versions: str) -> list[float]:
    """Seconds of each turn. Every turn is rolled back, and must find the same."""
    path = settings.home / f"{versions}.{options.format}"
    write_file(path, options.lines, told=versions == "told")
    changed = len(range(100, options.lines, 200))
    described = len(range(0, options.lines, 200))
    seconds = []
    for _ in range(options.turns):
        with connect(settings) as connection:
            store = MadeUp(settings, options.lines)
            started = time.perf_counter()
            found = compare(connection, collection_of(path), store, settings)
            seconds.append(time.perf_counter() - started - store.seconds)
            query = "SELECT id FROM retrieval.image WHERE caption LIKE '%anew'"
            written = len(connection.execute(query).fetchall())
            connection.rollback()
        if (found.listed, found.changed, found.new, written) != (options.lines, changed, 0, described):
            raise SystemExit(f"the diff found {found} and wrote {written} captions")
    return seconds


if __name__ == "__main__":
    run(main)
