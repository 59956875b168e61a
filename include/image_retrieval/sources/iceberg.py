"""Reads an Iceberg table by the library pyiceberg, without a catalog."""

import re
from collections.abc import Iterator

import pyarrow as pa
from pyiceberg.exceptions import NotInstalledError
from pyiceberg.expressions import AlwaysFalse, AlwaysTrue, BooleanExpression, In, Reference
from pyiceberg.io.pyarrow import ArrowScan, schema_to_pyarrow
from pyiceberg.table import StaticTable

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectMissing, ObjectStore
from image_retrieval.objects.library_access import iceberg_properties
from image_retrieval.source_kinds import METADATA
from image_retrieval.sources.tables import Refusal, Table, Wanted, failed, place_of, typed

NUMBERED = re.compile(rf"metadata/v?(\d+)(?:-[^/]*)?(?:\.gz)?{re.escape(METADATA)}")
HINT = "metadata/version-hint.text"
FAULTY = (pa.ArrowException, NotInstalledError, OSError, ValueError, KeyError, TypeError)


def open_iceberg(source: str, snapshot: int | None, store: ObjectStore, refusal: Refusal) -> Table:
    """The Iceberg table in a folder, or that of a .metadata.json. Raises UserError if it cannot be read."""
    place = source if source.endswith(METADATA) else _latest(source, store)
    access = store.access(source)
    properties = {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}
    properties |= {} if access is None else iceberg_properties(access)
    try:
        table = StaticTable.from_metadata(place_of(place), properties)
        current = table.current_snapshot()
        version = snapshot if snapshot is not None else current.snapshot_id if current else None
        if version is not None and table.snapshot_by_id(version) is None:
            raise UserError(f"{place} has no snapshot {version}: it has expired, or `table_version` is wrong")
        schema = schema_to_pyarrow(table.scan(snapshot_id=version).projection(), include_field_ids=False)
    except FAULTY as error:
        raise failed(place, "an Iceberg table", error, access) from None

    def batches(columns: list[str], wanted: Wanted | None, rows: int) -> Iterator[pa.RecordBatch]:
        chosen: BooleanExpression = AlwaysTrue() if wanted is None else _in(wanted, schema)
        try:
            scan = table.scan(chosen, tuple(columns), snapshot_id=version)
            for task in scan.plan_files():
                for file in (task.file, *task.delete_files):
                    if told := refusal(_same_scheme(file.file_path, source)):
                        raise UserError(told)
                # one after the other: the library holds all rows of the files that it is given
                reading = ArrowScan(table.metadata, table.io, scan.projection(), chosen)
                for batch in reading.to_record_batches([task]):
                    yield from (batch.slice(start, rows) for start in range(0, len(batch), rows))
        except FAULTY as error:
            raise failed(place, "an Iceberg table", error, access) from None

    return Table(schema, version, batches)


def _in(wanted: Wanted, schema: pa.Schema) -> BooleanExpression:
    values = set(typed(wanted, schema).to_pylist())
    return In(term=Reference(wanted.column), literals=values) if values else AlwaysFalse()


def _latest(folder: str, store: ObjectStore) -> str:
    """The file of the latest version: that of the hint, else the one with the highest number."""
    try:
        hint = store.read(f"{folder}{HINT}", limit=1000).decode("utf-8", "replace").strip()
    except ObjectMissing:
        hint = ""
    if hint:
        name = hint if hint.endswith(METADATA) else f"{f'v{hint}' if hint.isdecimal() else hint}{METADATA}"
        return f"{folder}metadata/{name}"
    numbered: dict[int, list[str]] = {}
    for page in store.pages(f"{folder}metadata/"):
        for entry in page:
            if found := NUMBERED.fullmatch(f"metadata/{entry.key}"):
                numbered.setdefault(int(found[1]), []).append(entry.uri)
    latest = numbered[max(numbered)] if numbered else []
    if len(latest) != 1:
        why = f"{latest[0]} and {latest[1]} have the same number" if latest else f"it has no metadata/…{METADATA}"
        raise UserError(f"{folder} does not tell its latest version, since {why}: give the right file as `source`")
    return latest[0]


def _same_scheme(path: str, source: str) -> str:
    """A file of the table by the scheme of the source, as the allow-list knows its bucket."""
    scheme, found, rest = path.partition("://")
    return f"{source.partition('://')[0]}://{rest}" if found and scheme in ("s3", "s3a", "s3n") else path
