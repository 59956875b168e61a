"""Reads the data files of an inventory, of CSV, ORC or Parquet, as pages of objects."""

import gzip
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.orc as orc
import pyarrow.parquet as pq

from image_retrieval.errors import UserError
from image_retrieval.image_inputs import dated_version
from image_retrieval.objects import ObjectStore, StoredObject

BATCH = 20_000  # rows
BLOCK = 2**22  # bytes of CSV that are parsed at once
PIECE = 2**20  # bytes that are copied at once
GZIP = b"\x1f\x8b"
FIELDS = ("key", "size", "lastmodifieddate", "etag", "islatest", "isdeletemarker")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DASHED = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)(?:\.\d+)?Z")  # as OSS writes times
FAULTY = (pa.ArrowException, OSError, EOFError, ValueError)  # of a file as a whole
Row = tuple[str | None, ...]  # in order of FIELDS


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of an inventory, and what its manifest says of it."""

    uri: str
    size: int | None
    md5: str | None


@contextmanager
def local_copy(file: DataFile, store: ObjectStore) -> Iterator[Path]:
    """A copy of a data file on this machine, for the time of the block.

    Raises ObjectMissing, and UserError if its checksum is not that of the manifest.
    """
    digest = hashlib.md5(usedforsecurity=False)
    with tempfile.TemporaryDirectory(prefix="image-retrieval-") as folder:
        path = Path(folder, "data")
        with store.open(file.uri) as stream, path.open("wb") as target:
            while piece := stream.read(PIECE):
                digest.update(piece)
                target.write(piece)
        if file.md5 and file.md5.lower() != digest.hexdigest():
            raise UserError(
                f"{file.uri} is not the file that the inventory's manifest names (its MD5 is {digest.hexdigest()}, "
                f"not {file.md5[:40]}): wait for the next inventory"
            )
        yield path


def read_csv(path: Path, columns: tuple[str, ...], place: str, root: str) -> Iterator[list[StoredObject]]:
    """Rows without a line of names, compressed or not; keys are URL-encoded."""
    there = _fields(columns, place)
    with path.open("rb") as raw:
        compressed = raw.read(2) == GZIP
    reading = pv.ReadOptions(column_names=list(columns), block_size=BLOCK)
    kinds = pv.ConvertOptions(column_types=dict.fromkeys(columns, pa.binary()), include_columns=list(there.values()))
    parsing = pv.ParseOptions(newlines_in_values=True)
    with gzip.open(path) if compressed else path.open("rb") as stream, _readable(place, "CSV"):
        try:
            file = pv.open_csv(stream, reading, parsing, kinds)
        except pa.ArrowInvalid as error:
            if "Empty CSV file" in str(error):  # the bucket has no object
                return
            raise
        for batch in file:
            yield _page(_rows(batch, there), root, decode=True)


def read_orc(path: Path, columns: tuple[str, ...], place: str, root: str) -> Iterator[list[StoredObject]]:  # noqa: ARG001
    """Stripes of an ORC file."""
    with _readable(place, "ORC"):
        file = orc.ORCFile(path)
        there = _fields(file.schema.names, place)
        for number in range(file.nstripes):
            stripe = file.read_stripe(number, columns=list(there.values()))
            for start in range(0, len(stripe), BATCH):
                yield _page(_rows(stripe.slice(start, BATCH), there), root, decode=False)


def read_parquet(path: Path, columns: tuple[str, ...], place: str, root: str) -> Iterator[list[StoredObject]]:  # noqa: ARG001
    """Rows of a Parquet file."""
    with _readable(place, "Parquet"), pq.ParquetFile(path) as file:
        there = _fields(file.schema_arrow.names, place)
        for batch in file.iter_batches(BATCH, columns=list(there.values())):
            yield _page(_rows(batch, there), root, decode=False)


@contextmanager
def _readable(place: str, form: str) -> Iterator[None]:
    """Raise UserError if the file cannot be read as what it should be."""
    try:
        yield
    except UserError:
        raise
    except FAULTY as error:
        raise UserError(f"{place} cannot be read as {form}: {' '.join(str(error).split())[:300]}") from None


def _fields(columns: tuple[str, ...] | list[str], place: str) -> dict[str, str]:
    """The columns of the fields that are there. Raises UserError if they do not tell a key and a version."""
    plain = {name.replace("_", "").lower(): name for name in columns}
    found = {field: plain[field] for field in FIELDS if field in plain}
    if "key" not in found or not ("etag" in found or {"size", "lastmodifieddate"} <= found.keys()):
        raise UserError(
            f"{place} has no field {'Key' if 'key' not in found else 'ETag'}: add ETag, or Size and LastModifiedDate, "
            "to the optional fields of the inventory's configuration"
        )
    return found


def _rows(batch: pa.RecordBatch, there: dict[str, str]) -> Iterator[Row]:
    nothing = [None] * len(batch)
    columns = [_texts(batch.column(there[field])) if field in there else nothing for field in FIELDS]
    return zip(*columns, strict=True)


def _texts(column: pa.Array) -> list[str | None]:
    if not pa.types.is_binary(column.type):
        column = pc.cast(column, pa.string())
    values: list[Any] = column.to_pylist()
    return [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values]


def _page(rows: Iterator[Row], root: str, *, decode: bool) -> list[StoredObject]:
    """Rows as objects, without delete markers and former versions."""
    found = []
    for key, size, modified, etag, latest, marker in rows:
        if not key or (latest or "").lower() == "false" or (marker or "").lower() == "true":
            continue
        name = unquote_plus(key, errors="surrogateescape") if decode and ("%" in key or "+" in key) else key
        when, length = _when(modified), int(size or 0)
        version = (etag or "").strip('"') or dated_version(when, length)
        found.append(StoredObject(root + name, name, version, length, when))
    return found


def _when(told: str | None) -> datetime:
    """A time; one without a zone is in UTC. Raises ValueError."""
    if not told:
        return EPOCH
    dashed = DASHED.fullmatch(told)
    when = datetime.fromisoformat(f"{dashed[1]}T{dashed[2]}:{dashed[3]}:{dashed[4]}Z" if dashed else told)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


READERS: dict[str, Callable[[Path, tuple[str, ...], str, str], Iterator[list[StoredObject]]]] = {
    "csv": read_csv,
    "orc": read_orc,
    "parquet": read_parquet,
}
