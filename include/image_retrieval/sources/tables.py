"""Opens a table of Parquet, Delta or Iceberg, and reads it in batches of rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore, local_path
from image_retrieval.sources.formats import unreadable

READAHEAD = 1  # batches and files: a batch of images is large
OPTIONS = {"pre_buffer": False, "use_buffered_stream": True, "buffer_size": 2**20}  # else a whole row group is fetched
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
    form = ds.ParquetFileFormat(default_fragment_scan_options=ds.ParquetFragmentScanOptions(**OPTIONS))
    try:
        with store.open(uris[0]) as stream:
            schema = form.make_fragment(pa.PythonFile(stream)).physical_schema
    except pa.ArrowException as error:
        raise unreadable(uris[0], "Parquet", error) from None

    def batches(columns: list[str], wanted: Wanted | None, rows: int) -> Iterator[pa.RecordBatch]:
        for uri in uris:
            with store.open(uri) as stream:
                try:
                    fragment = form.make_fragment(pa.PythonFile(stream))
                    scanner = ds.Scanner.from_fragment(fragment, **scanning(schema, columns, wanted, rows))
                    yield from scanner.to_batches()
                except pa.ArrowException as error:
                    raise unreadable(uri, "Parquet", error) from None

    return Table(schema, None, batches)


def scanning(schema: pa.Schema, columns: list[str], wanted: Wanted | None, rows: int) -> dict[str, Any]:
    """How pyarrow scans a table in little memory, in the order of its rows."""
    chosen = None if wanted is None else ds.field(wanted.column).isin(typed(wanted, schema))
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


def place_of(source: str) -> str:
    """A source as libraries name it: a path of this machine, or an s3:// URI whatever the cloud."""
    path = local_path(source)
    return str(path) if path is not None else f"s3://{source.partition('://')[2]}"
