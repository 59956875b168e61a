"""Chosen images as a file: CSV or Parquet, with the columns of the collection's view."""

import csv
import io
import json
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from starlette.responses import Response

from image_retrieval.pipeline.dataset import COLUMNS
from image_retrieval.service.choosing_schemas import ExportForm
from image_retrieval.service.state import Service
from image_retrieval.service.streaming import streamed
from image_retrieval.store.images import ChosenImage, find_chosen

PAGE = 500
VECTOR = "image_embedding"
KINDS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # OWASP, CSV injection; full width ones count too
BOM = "\ufeff"  # by which spreadsheets know UTF-8


def export(service: Service, form: ExportForm) -> Response:
    """The images of these ids that can be searched, in the order of the ids. Raises Refused."""
    name = service.shown(form.collection).name
    columns = [field.name for field in COLUMNS if field.name != VECTOR or form.vectors]
    pages = _pages(service, name, form)
    parts = _csv(columns, pages) if form.format == "csv" else _parquet(columns, pages)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form.format}"'}
    return streamed(service, parts, KINDS[form.format], headers)


def _pages(service: Service, name: str, form: ExportForm) -> Iterator[list[ChosenImage]]:
    ids = list(dict.fromkeys(form.image_ids))
    for at in range(0, len(ids), PAGE):
        with service.transaction(heavy=True) as connection:
            page = find_chosen(connection, name, ids[at : at + PAGE], vectors=form.vectors)
        yield page


def _csv(columns: Sequence[str], pages: Iterator[list[ChosenImage]]) -> Iterator[bytes]:
    text = io.StringIO(BOM, newline="")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text)
    writer.writerow(columns)
    for page in pages:
        writer.writerows([_cell(getattr(row, name)) for name in columns] for row in page)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _cell(value: object) -> object:
    """A value as a cell. A text that a spreadsheet would run as a formula begins with an apostrophe."""
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _parquet(columns: Sequence[str], pages: Iterator[list[ChosenImage]]) -> Iterator[bytes]:
    schema = pa.schema([COLUMNS.field(name) for name in columns])
    file = io.BytesIO()
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for page in pages:
            arrays = [pa.array([getattr(row, field.name) for row in page], field.type) for field in schema]
            writer.write_table(pa.table(arrays, schema=schema))
            yield file.getvalue()
            file.seek(0)
            file.truncate()
    yield file.getvalue()
