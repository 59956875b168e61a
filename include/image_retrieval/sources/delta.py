"""Reads a Delta table by the library deltalake."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.objects.library_access import delta_options
from image_retrieval.sources.tables import OPTIONS, Refusal, Table, Wanted, failed, place_of, scanning


def open_delta(source: str, version: int | None, store: ObjectStore, refusal: Refusal) -> Table:
    """The Delta table in a folder. Raises UserError if it cannot be read, or has files that may not be read."""
    access = store.access(source)
    options = None if access is None else delta_options(access, source)
    try:
        table = DeltaTable(place_of(source).rstrip("/"), version=version, storage_options=options)
        for uri in table.file_uris():
            _require_allowed(uri, source, refusal)
        dataset = table.to_pyarrow_dataset()
    except (DeltaError, pa.ArrowException, OSError, ValueError) as error:
        raise failed(source, "a Delta table", error, access) from None

    def batches(columns: list[str], wanted: Wanted | None, rows: int) -> Iterator[pa.RecordBatch]:
        how = scanning(dataset.schema, columns, wanted, rows)
        how.pop("schema")
        try:
            yield from dataset.scanner(
                **how, fragment_scan_options=ds.ParquetFragmentScanOptions(**OPTIONS)
            ).to_batches()
        except (DeltaError, pa.ArrowException, OSError) as error:
            raise failed(source, "a Delta table", error, access) from None

    return Table(dataset.schema, table.version(), batches)


def _require_allowed(uri: str, source: str, refusal: Refusal) -> None:
    """Raise UserError if a file of the table may not be read: a log may name files of other places."""
    scheme, found, rest = uri.partition("://")
    plain = uri if scheme == "file" or not found else f"{source.partition('://')[0]}://{rest}"
    if told := refusal(plain):
        raise UserError(told)
