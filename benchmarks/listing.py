"""The diff of a bucket's listing with the tables: `python -m benchmarks.listing [--objects N] [--dimensions N]`.

What a run does between the store's answers and its manifests, on a PostgreSQL of its own that holds a row and a vector
for each object. The listing is made up as it is read, which does not count; a hundredth of it differs: new, changed,
gone, and back again.
"""

import argparse
import json
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg

from benchmarks.needs import run, whole
from benchmarks.own_services import own_services
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.objects import ObjectStore, StoredObject
from image_retrieval.pipeline.listing import compare
from image_retrieval.settings import Settings
from image_retrieval.store.connection import connect
from image_retrieval.store.runs import RunPlan
from image_retrieval.store.vector_tables import ensure_vector_table

SOURCE = "s3://images/benchmark/"
PAGE = 1000  # objects that a store tells at once
KINDS = ("new", "changed", "gone", "restored")  # of each 400 objects, one of each
FIRST_SEEN = datetime(2026, 1, 1, tzinfo=UTC)


def kind_of(number: int) -> str | None:
    """What the listing says of an object: one of KINDS, or nothing new."""
    return None if number % 100 else KINDS[number % 400 // 100]


class MadeUp(ObjectStore):
    """A bucket that holds what is made up when it is listed."""

    def __init__(self, objects: int) -> None:
        super().__init__(Settings())
        self._objects = objects
        self.seconds = self.cpu_seconds = 0.0  # that making it up took

    def pages(self, prefix: str, **_: object) -> Iterator[list[StoredObject]]:
        for start in range(0, self._objects, PAGE):
            started, computed = time.perf_counter(), time.process_time()
            folder = f"{start // PAGE:05}/"
            numbers = range(start, min(start + PAGE, self._objects))
            page = [_entry(prefix, folder, number) for number in numbers if kind_of(number) != "gone"]
            self.seconds += time.perf_counter() - started
            self.cpu_seconds += time.process_time() - computed
            yield page


def _entry(prefix: str, folder: str, number: int) -> StoredObject:
    key = f"{folder}{number:09}.jpg"
    version = number + 1 if number % 400 == 100 else number
    return StoredObject(prefix + key, key, f"{version:032x}", 70_000, FIRST_SEEN)


FILL = (
    """
    INSERT INTO retrieval.image (collection, image_id, uri, etag, size, last_modified, sha256, width, height, format,
        mode, phash, resampled_uri, group_id, intra_id, deleted)
    SELECT 'benchmark', key, %(source)s || key || '.jpg', lpad(to_hex(i), 32, '0'), 70000, %(seen)s,
        lpad(to_hex(i), 64, '0'), 1200, 900, 'JPEG', 'RGB', i,
        's3://image-retrieval/resampled/benchmark/' || key || '_resample.png',
        lpad((i / 1000)::text, 5, '0'), lpad(i::text, 9, '0') || '.jpg', CASE WHEN i %% 400 = 300 THEN now() END
    FROM generate_series(0, %(objects)s - 1) AS i,
         LATERAL (SELECT lpad((i / 1000)::text, 5, '0') || '/' || lpad(i::text, 9, '0') AS key) AS named
    WHERE i %% 400 <> 0
    """,
    """
    INSERT INTO retrieval.vector_benchmark_m (id, etag, embedding, digest)
    SELECT id, etag, array_fill(1 / sqrt(%(dimensions)s), ARRAY[%(dimensions)s])::halfvec, id
    FROM retrieval.image ORDER BY id
    """,
)


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=whole(1), default=1_000_000)
    parser.add_argument("--dimensions", type=whole(1, 16_000), default=384)
    parser.add_argument("--turns", type=whole(1), default=3)
    options = parser.parse_args()
    with own_services() as settings:
        seconds, cpu_seconds = measure(options, settings)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for turn, (spent, computed) in enumerate(zip(seconds, cpu_seconds, strict=True), 1):
        rate = options.objects / spent
        print(f"turn {turn}: {spent:6.1f} s   {rate:9.0f} objects/s   {computed:5.1f} s of a core in this process")
    print(f"peak memory of this process: {peak:.0f} MB")
    middle = statistics.median(seconds)
    print(
        json.dumps(
            {
                "objects": options.objects,
                "dimensions": options.dimensions,
                "turns": options.turns,
                "objects_per_second": round(options.objects / middle),
                "seconds": round(middle, 1),
                "peak_memory_mb": round(peak),
            }
        )
    )


def measure(options: argparse.Namespace, settings: Settings) -> tuple[list[float], list[float]]:
    """Seconds of each turn, and those that this process computed.

    Every turn is rolled back, and must find what the first one found.
    """
    collection = listed_collection()
    fill(collection, options, settings)
    expected = plan_of(options.objects)
    seconds, cpu_seconds = [], []
    for _ in range(options.turns):
        with connect(settings) as connection:
            bucket = MadeUp(options.objects)
            started, computed = time.perf_counter(), time.process_time()
            found = compare(connection, collection, bucket, settings)
            seconds.append(time.perf_counter() - started - bucket.seconds)
            cpu_seconds.append(time.process_time() - computed - bucket.cpu_seconds)
            connection.rollback()
        if found != expected:
            raise SystemExit(f"the diff found {found}, where {expected} was to be found")
    return seconds, cpu_seconds


def listed_collection() -> Collection:
    """The collection that is compared."""
    return Collection(
        name="benchmark",
        source=SOURCE,
        model=ModelOptions(name="m", source="none"),
        id_pattern="^(?P<group_id>[^/]+)/(?P<intra_id>.+)",
    )


def fill(collection: Collection, options: argparse.Namespace, settings: Settings) -> None:
    """Write the rows and vectors of the objects that the table knows."""
    rows = {"source": SOURCE, "seen": FIRST_SEEN, "objects": options.objects, "dimensions": options.dimensions}
    with connect(settings) as connection:
        ensure_vector_table(connection, collection, options.dimensions)
        for query in FILL:
            connection.execute(query.encode(), rows)
    with psycopg.connect(settings.database(), autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) retrieval.image")
        connection.execute("VACUUM (ANALYZE) retrieval.vector_benchmark_m")
        connection.execute("CHECKPOINT")


def plan_of(objects: int) -> RunPlan:
    """What a comparison has to find."""
    counts = Counter(kind_of(number) for number in range(objects))
    found = {kind: counts[kind] for kind in KINDS}
    return RunPlan(listed=objects - counts["gone"], **found, shards=0, left_over=0)


if __name__ == "__main__":
    run(main)
