"""Inventories, and images in a table: `python -m benchmarks.tables [--rows N] [--images N] [--kib N]`.

How long the data files of an inventory take to read, one million rows in files of a quarter each, and how long images
of a Parquet table take: all of them at once, as a listing hashes them, and a tenth of them, as a shard reads it, in the
order of the ids or spread over the table. Each is measured in a process of its own, for its peak memory.
"""

import argparse
import csv
import gzip
import hashlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from benchmarks.needs import run, whole
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.index_columns import IndexColumns
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.sources.inventory_files import READERS
from image_retrieval.sources.members import read_members
from image_retrieval.sources.table_lines import read_images, uri_of, version_of

FILES = 4
GROUP = 1000  # images of a row group
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")


def main() -> None:
    """Measure, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=whole(FILES), default=1_000_000)
    parser.add_argument("--images", type=whole(10), default=20_000)
    parser.add_argument("--kib", type=whole(1), default=100, help="size of an image")
    options = parser.parse_args()
    found: dict[str, Any] = {"rows": options.rows, "images": options.images, "kib": options.kib}
    with tempfile.TemporaryDirectory(prefix="image-retrieval-") as folder:
        for form in READERS:
            write_inventory(Path(folder), form, options.rows // FILES)
            found[form] = alone(read_inventory, folder, form, options.rows // FILES)
        write_images(Path(folder), options.images, options.kib * 1024)
        source = f"file://{folder}/images.parquet"
        found["listed"] = alone(list_images, source, options.images)
        for order in ("sorted", "spread"):
            found[order] = alone(read_shard, source, options.images, options.kib * 1024, order)
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name:8} {value['seconds']:6.1f} s {value['peak_memory_mb']:6} MB")
    print(json.dumps(found))


def alone(work: Callable[..., int], *given: Any) -> dict[str, float]:
    """Run a measurement in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, work, *given).result()


def measured(work: Callable[..., int], *given: Any) -> dict[str, float]:
    started = time.perf_counter()
    taken = work(*given)
    seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin with that of the process that started it
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    return {"seconds": round(seconds, 1), "peak_memory_mb": round(peak), "taken": taken}


def write_inventory(folder: Path, form: str, rows: int) -> None:
    """One data file; it is read several times over."""
    keys = [f"{number // 1000:05}/{number:09}.jpg" for number in range(rows)]
    etags = [f"{number:032x}" for number in range(rows)]
    path = folder / form
    if form == "csv":
        with gzip.open(path, "wt", compresslevel=1) as stream:
            writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
            when = f"{WRITTEN:%Y-%m-%dT%H:%M:%S}.000Z"
            writer.writerows(("photos", key, 70_000, when, etag) for key, etag in zip(keys, etags, strict=True))
        return
    columns = {"key": keys, "size": [70_000] * rows, "e_tag": etags}
    written = pa.array([WRITTEN] * rows, pa.timestamp("ms", "UTC"))
    (orc if form == "orc" else pq).write_table(pa.table({**columns, "last_modified_date": written}), path)


def read_inventory(folder: str, form: str, rows: int) -> int:
    taken = sum(
        len(page) for _ in range(FILES) for page in READERS[form](Path(folder, form), FIELDS, form, "s3://photos/")
    )
    if taken != rows * FILES:
        raise SystemExit(f"{taken} of {rows * FILES} rows were read")
    return taken


def image_of(number: int, size: int) -> bytes:
    return random.Random(number).randbytes(size)


def id_of(number: int) -> str:
    return f"{number:09}"


def write_images(folder: Path, images: int, size: int) -> None:
    layout = pa.schema([("id", pa.string()), ("data", pa.binary())])
    with pq.ParquetWriter(folder / "images.parquet", layout, use_dictionary=False) as writer:
        for start in range(0, images, GROUP):
            numbers = range(start, min(start + GROUP, images))
            data = [image_of(number, size) for number in numbers]
            writer.write_table(pa.table({"id": list(map(id_of, numbers)), "data": data}, layout), row_group_size=GROUP)


def collection_of(source: str) -> Collection:
    model = ModelOptions(name="m", source="none")
    return Collection(name="benchmark", source=source, columns=IndexColumns(image="data"), model=model)


def list_images(source: str, images: int) -> int:
    taken = 0
    for found in read_members(collection_of(source), ObjectStore(Settings()), lambda uri: None):
        taken += len(found.rows)
    if taken != images:
        raise SystemExit(f"{taken} of {images} images were listed")
    return taken


def read_shard(source: str, images: int, size: int, order: str) -> int:
    numbers = range(images // 10) if order == "sorted" else range(0, images, 10)
    versions = {uri_of(source, id_of(number)): version_of(image_of(number, size)) for number in numbers}
    digest, taken = hashlib.sha256(), 0
    for _, image in read_images(collection_of(source), versions, ObjectStore(Settings()), lambda uri: None):
        if not isinstance(image, bytes):
            raise SystemExit(str(image))
        digest.update(image)
        taken += 1
    return taken


if __name__ == "__main__":
    run(main)
