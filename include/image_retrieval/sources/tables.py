"""Opens a table of Parquet, Delta or Iceberg, and reads it in batches of rows."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore, StoreUnavailable, local_path
from image_retrieval.objects.access import Access
from image_retrieval.sources.formats import unreadable

READAHEAD = 1  # batches and files: a batch of images is large
BUFFER = 2**20  # bytes that are fetched at once
OPTIONS = {"pre_buffer": False, "use_buffered_stream": True, "buffer_size": BUFFER}
COLOURS = re.compile("\x1b\\[[0-9;]*m|↳")  # of messages for a terminal
Refusal = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The rows that are wanted: those whose column has one of these values."""

    column: str
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table at one version, None for Parquet; `batches` reads columns of the wanted rows, so many at once."""

    schema: pa.Schema
    version: int | None
    batches: Callable[[list[str], Wanted | None, int], Iterator[pa.RecordBatch]]


def open_table(collection: Collection, store: ObjectStore, refusal: Refusal) -> Table:
    """The table of a collection, at its `table_version` or the latest one.

    `refusal` says why a file of it may not be read, or None. Raises UserError if it cannot be read.
    """
    if collection.format == "delta":
        _require("deltalake", collection.format)
        from image_retrieval.sources.delta import open_delta

        return open_delta(collection.source, collection.table_version, store, refusal)
    if collection.format == "iceberg":
        _require("pyiceberg", collection.format)
        from image_retrieval.sources.iceberg import open_iceberg

        return open_iceberg(collection.source, collection.table_version, store, refusal)
    return _open_parquet(collection.source, store)


def _require(package: str, extra: str) -> None:
    try:
        import_module(package)
    except ModuleNotFoundError:
        raise UserError(
            f"a source of `format: {extra}` needs the package {package}: pip install 'image-retrieval[{extra}]'"
        ) from None


def _open_parquet(source: str, store: ObjectStore) -> Table:
    """Parquet files of one schema, in order of their names: those of a folder, or one."""
    uris = [source]
    if source.endswith("/"):
        found = (entry for page in store.pages(source) for entry in page)
        uris = sorted(entry.uri for entry in found if _is_data(entry.key))
        if not uris:
            raise UserError(f"{source} holds no Parquet file: correct `source`, or remove `format`")
    with _parquet(uris[0], store) as first:
        schema = first.schema_arrow

    def batches(columns: list[str], wanted: Wanted | None, rows: int) -> Iterator[pa.RecordBatch]:
        for uri in uris:
            with _parquet(uri, store) as file:
                for batch in _batches(file, columns, wanted, rows):
                    yield _with_all(batch, columns, schema)

    return Table(schema, None, batches)


@contextmanager
def _parquet(uri: str, store: ObjectStore) -> Iterator[pq.ParquetFile]:
    """A Parquet file of which only what is needed is fetched. Raises UserError if it cannot be read."""
    try:
        with store.open(uri) as stream, pq.ParquetFile(stream, pre_buffer=False, buffer_size=BUFFER) as file:
            yield file
    except pa.ArrowException as error:
        raise unreadable(uri, "Parquet", error) from None


def _batches(file: pq.ParquetFile, columns: list[str], wanted: Wanted | None, rows: int) -> Iterator[pa.RecordBatch]:
    """The wanted rows of a file, page by page; of row groups without any, the column that tells it is read at most."""
    names = file.schema_arrow.names
    there = [name for name in columns if name in names]
    if wanted is None:
        yield from file.iter_batches(rows, columns=there)
        return
    if wanted.column not in names:
        return
    values = typed(wanted, file.schema_arrow)
    for group in range(file.num_row_groups):
        if not _may_hold(file, group, wanted.column, values):
            continue
        told = file.read_row_group(group, columns=[wanted.column]).column(0).combine_chunks()
        chosen = pc.is_in(told, value_set=values)
        at = 0
        for batch in file.iter_batches(rows, row_groups=[group], columns=there) if chosen.true_count else ():
            yield batch.filter(chosen.slice(at, len(batch)))
            at += len(batch)


def _may_hold(file: pq.ParquetFile, group: int, column: str, values: pa.Array) -> bool:
    """Whether a row group spans any of the values, as far as its statistics tell."""
    columns = (file.metadata.row_group(group).column(at) for at in range(file.metadata.num_columns))
    told = next((found.statistics for found in columns if found.path_in_schema == column), None)
    if not len(values) or told is None or not told.has_min_max:
        return bool(len(values))
    least, most = pc.min_max(values).as_py().values()
    return bool(least <= told.max and told.min <= most)


def _with_all(batch: pa.RecordBatch, columns: list[str], schema: pa.Schema) -> pa.RecordBatch:
    """A batch with nulls for columns that its file does not have."""
    there = batch.schema.names
    found = [batch.column(name) if name in there else pa.nulls(len(batch), schema.field(name).type) for name in columns]
    return pa.RecordBatch.from_arrays(found, columns)


def scanning(schema: pa.Schema, columns: list[str], wanted: Wanted | None, rows: int) -> dict[str, Any]:
    """How pyarrow scans a table, one row group after the other."""
    chosen = None
    if wanted is not None:
        from pyarrow import dataset as ds  # which imports pandas, if it is there: 40 MB

        values, column = typed(wanted, schema), ds.field(wanted.column)
        chosen = column.isin(values)
        if len(values):  # by which files and row groups are left out
            least, most = pc.min_max(values).values()
            chosen = (column >= least) & (column <= most) & chosen
    few = {"batch_readahead": READAHEAD, "fragment_readahead": READAHEAD, "use_threads": False}
    return {"schema": schema, "columns": columns, "filter": chosen, "batch_size": rows, **few}


def typed(wanted: Wanted, schema: pa.Schema) -> pa.Array:
    """The values, of the column's type; none of them that cannot have it."""
    kind = schema.field(wanted.column).type
    if pa.types.is_integer(kind):
        return pa.array([int(value) for value in wanted.values if value.lstrip("-").isdecimal()], kind)
    return pa.array(wanted.values, pa.string()).cast(kind)


def _is_data(key: str) -> bool:
    """Whether a key under a folder is a data file; engines put their own files beside them, named with `_` or `.`."""
    return key.endswith(".parquet") and not any(part.startswith(("_", ".")) for part in key.split("/"))


def failed(place: str, form: str, error: Exception, access: Access | None) -> UserError:
    """The error for a table that a library cannot read: the store's, if that does not answer as it should."""
    if access is None or not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
        return unreadable(place, form, error)
    why = " ".join(COLOURS.sub("", str(error)).split())
    return StoreUnavailable(f"the object store at {access} does not let {place} be read: {why[:300]}")


def place_of(source: str) -> str:
    """A source as libraries name it: a path of this machine, or an s3:// URI whatever the cloud."""
    path = local_path(source)
    return str(path) if path is not None else f"s3://{source.partition('://')[2]}"
