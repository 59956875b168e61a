"""Reads an index file in batches of its lines: .txt, .csv, .jsonl or .parquet."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from image_retrieval.errors import UserError

FIELDS = ("uri", "id", "etag", "caption", "attributes", "group_id", "intra_id")  # that a line may have
BATCH = 20_000  # lines
BLOCK = 2**22  # bytes of a CSV file that are parsed at once
LONGEST_LINE = 2**20  # bytes
FAULTY = (pa.ArrowException, csv.Error, UnicodeDecodeError)  # of a file as a whole; the last of a column's name
NO_ROOM = f"has more than {LONGEST_LINE} bytes"


@dataclass(slots=True)
class Lines:
    """A batch of lines: their numbers from 1, the values of each field that the file has, and faulty lines.

    Values are texts; those of attributes may also be mappings.
    """

    numbers: list[int] = field(default_factory=list)
    values: dict[str, list[Any]] = field(default_factory=dict)
    faults: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Columns:
    """The name of each field's column, and the fields whose columns a file must have."""

    names: dict[str, str]
    required: frozenset[str]


def read_text(stream: IO[bytes], place: str, columns: Columns) -> Iterator[Lines]:  # noqa: ARG001
    """One URI a line."""
    for batch in _in_batches(stream):
        found = Lines()
        for number, line in batch:
            _take_line(found, number, line, lambda text: {"uri": text}, ["uri"])
        yield found


def read_json_lines(stream: IO[bytes], place: str, columns: Columns) -> Iterator[Lines]:
    """A JSON object a line."""

    def parse(text: str) -> dict[str, Any]:
        entry = json.loads(text)
        if not isinstance(entry, dict):
            raise ValueError("is not a JSON object")
        return entry

    there = False
    for batch in _in_batches(stream):
        found = Lines()
        for number, line in batch:
            _take_line(found, number, line, parse, list(columns.names.values()))
        found.values = {name: found.values.get(column, []) for name, column in columns.names.items()}
        there = there or any(uri is not None for uri in found.values["uri"])
        if found.numbers and not there:
            raise missing_column(place, columns.names["uri"], [])
        yield found


def _take_line(
    found: Lines, number: int, line: bytes, parse: Callable[[str], dict[str, Any]], columns: list[str]
) -> None:
    """Add a line's values to a batch, or what is wrong with it."""
    try:
        if len(line) > LONGEST_LINE:
            raise ValueError(NO_ROOM)
        entry = parse(line.decode())
    except UnicodeDecodeError:
        found.faults.append((number, "is not UTF-8"))
    except json.JSONDecodeError as error:
        found.faults.append((number, f"is not JSON: {error.msg} at column {error.colno}"))
    except (ValueError, RecursionError) as error:
        found.faults.append((number, str(error)))
    else:
        found.numbers.append(number)
        for column in columns:
            found.values.setdefault(column, []).append(entry.get(column))


def _in_batches(stream: IO[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    """The lines that are not blank, with their numbers."""
    lines = enumerate(_lines(stream), 1)
    while batch := list(islice(lines, BATCH)):
        yield [(number, line.strip()) for number, line in batch if not line.isspace()]


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines, of a longer one only its beginning: a file without line ends would fill the memory."""
    first = True
    while line := stream.readline(LONGEST_LINE + 2):
        yield line.removeprefix(b"\xef\xbb\xbf") if first else line
        first = False
        while not line.endswith(b"\n") and len(line) > LONGEST_LINE:
            line = stream.readline(LONGEST_LINE + 2)


def read_csv(stream: IO[bytes], place: str, columns: Columns) -> Iterator[Lines]:
    """Rows of comma-separated values under a line of names, as RFC 4180 has them."""
    skipped: list[tuple[int, str]] = []

    def skip(row: pv.InvalidRow) -> str:
        skipped.append((row.number, f"has {row.actual_columns} values, but there are {row.expected_columns} columns"))
        return "skip"

    reading = pv.ReadOptions(use_threads=False, block_size=BLOCK)  # with threads, invalid rows would have no numbers
    parsing = pv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip)
    try:
        head = stream.read(LONGEST_LINE).decode("utf-8-sig", "replace")
        there = present(columns, next(csv.reader(io.StringIO(head)), []), place)
        stream.seek(0)
        converting = pv.ConvertOptions(
            include_columns=list(there.values()),
            column_types=dict.fromkeys(there.values(), pa.binary()),  # bytes that are not UTF-8 are one line's fault
            strings_can_be_null=True,
            null_values=[""],
        )
        following, told = 2, 0
        with pv.open_csv(stream, reading, parsing, converting) as file:
            for batch in file:
                faults, told = skipped[told:], len(skipped)
                numbers = _numbered(following, len(batch), [number for number, _ in skipped])
                following = max([following - 1, *numbers[-1:]]) + 1
                yield of_batch(batch, numbers, there, faults)
        if len(skipped) > told:
            yield Lines(faults=skipped[told:])
    except FAULTY as error:
        raise unreadable(place, "CSV", error) from None


def _numbered(first: int, rows: int, skipped: list[int]) -> list[int]:
    """The numbers of rows from `first` on, without those that were skipped."""
    numbers = np.arange(first, first + rows + len(skipped))
    return [int(number) for number in numbers[~np.isin(numbers, skipped)][:rows]]


def read_parquet(stream: IO[bytes], place: str, columns: Columns) -> Iterator[Lines]:
    """Rows of a Parquet file. Attributes are texts of JSON, or a struct or map."""
    try:
        with pq.ParquetFile(stream) as file:
            there = present(columns, file.schema_arrow.names, place)
            following = 1
            for batch in file.iter_batches(BATCH, columns=list(there.values())):
                yield of_batch(batch, list(range(following, following + len(batch))), there, [])
                following += len(batch)
    except FAULTY as error:
        raise unreadable(place, "Parquet", error) from None


def of_batch(batch: pa.RecordBatch, numbers: list[int], there: dict[str, str], faults: list[tuple[int, str]]) -> Lines:
    """A batch's rows. Bytes that are not UTF-8 become lone surrogates, which no value may have."""
    return Lines(numbers, {name: values_of(batch.column(column)) for name, column in there.items()}, faults)


def values_of(column: pa.Array) -> list[Any]:
    """The values of a column: texts, or mappings and lists where it is nested."""
    values: list[Any]
    if pa.types.is_nested(column.type):
        values = column.to_pylist(maps_as_pydicts="lossy")
        return values
    try:
        values = pc.cast(column, pa.string()).to_pylist()
    except pa.ArrowInvalid:  # some bytes are not UTF-8
        values = [None if value is None else value.decode("utf-8", "surrogateescape") for value in column.to_pylist()]
    return values


def present(columns: Columns, there: list[str], place: str) -> dict[str, str]:
    """The names of the columns that the file has. Raises UserError if a required one is missing."""
    for name, column in columns.names.items():
        if name in columns.required and column not in there:
            raise missing_column(place, column, there)
    return {name: column for name, column in columns.names.items() if column in there}


def plain(etag: str | None) -> str | None:
    """A version without the quotes in which some clients show it."""
    return etag.removeprefix("W/").strip('"') or None if etag else None


def missing_column(place: str, column: str, columns: list[str]) -> UserError:
    """The error for a file without a column that it needs."""
    there = f"; it has {', '.join(map(ascii, columns[:20]))}" if columns else ""
    return UserError(
        f"{place} has no column {column!a}{there}: name the right one under `columns` of the collection, or add it"
    )


def unreadable(place: str, form: str, error: Exception) -> UserError:
    """The error for a file or table that cannot be read."""
    return UserError(f"{place} cannot be read as {form}: {' '.join(str(error).split())[:300]}")


READERS: dict[str, Callable[[IO[bytes], str, Columns], Iterator[Lines]]] = {
    "txt": read_text,
    "csv": read_csv,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
}
