"""Index files of each format, written by other programs than those that read them."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

FIELDS = ("uri", "id", "etag", "caption", "attributes", "group_id", "intra_id")


def text(lines: list[dict[str, Any]]) -> bytes:
    return "".join(f"{line['uri']}\n" for line in lines).encode()


def comma_separated(lines: list[dict[str, Any]]) -> bytes:
    target = io.StringIO()
    writer = csv.DictWriter(target, _fields(lines))
    writer.writeheader()
    for line in lines:
        told = line | ({"attributes": json.dumps(line["attributes"])} if "attributes" in line else {})
        writer.writerow(told)
    return target.getvalue().encode()


def json_lines(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def parquet(lines: list[dict[str, Any]]) -> bytes:
    target = io.BytesIO()
    told = [line | ({"attributes": json.dumps(line["attributes"])} if "attributes" in line else {}) for line in lines]
    pq.write_table(pa.table({name: [line.get(name) for line in told] for name in _fields(lines)}), target)
    return target.getvalue()


def _fields(lines: list[dict[str, Any]]) -> list[str]:
    return [name for name in FIELDS if any(name in line for line in lines)]


WRITERS = {"txt": text, "csv": comma_separated, "jsonl": json_lines, "parquet": parquet}
