"""Inventories of a bucket as its store writes them, in each format."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from image_retrieval.objects import ObjectStore, StoredObject

FIELDS = ("Bucket", "Key", "Size", "LastModifiedDate", "ETag")
NAMES = ("bucket", "key", "size", "last_modified_date", "e_tag")


@dataclass(frozen=True)
class Written:
    """An inventory's folder, and what is in it by URI."""

    source: str
    objects: dict[str, bytes]

    def put(self, store: ObjectStore) -> None:
        for uri, data in self.objects.items():
            store.write(uri, data)


def rows_of(entries: Iterable[StoredObject], bucket: str = "images") -> list[dict[str, Any]]:
    return [
        {
            "Bucket": bucket,
            "Key": entry.uri.removeprefix(f"s3://{bucket}/"),
            "Size": entry.size,
            "LastModifiedDate": entry.last_modified,
            "ETag": entry.etag,
        }
        for entry in entries
    ]


def comma_separated(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    for row in rows:
        told = row | {"Key": quote_plus(row["Key"], errors="surrogateescape", safe="/")}
        if isinstance(row.get("LastModifiedDate"), datetime):
            told["LastModifiedDate"] = f"{row['LastModifiedDate']:%Y-%m-%dT%H:%M:%S}.000Z"
        writer.writerow([str(value).lower() if isinstance(value := told.get(name), bool) else value for name in fields])
    return gzip.compress(target.getvalue().encode())


def _table(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> pa.Table:
    kinds = {"Size": pa.int64(), "LastModifiedDate": pa.timestamp("ms", "UTC")}
    kinds |= dict.fromkeys(("IsLatest", "IsDeleteMarker"), pa.bool_())
    columns = {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name.replace("ET", "eT")).lstrip(
            "_"
        ): pa.array([row.get(name) for row in rows], kinds.get(name, pa.string()))
        for name in fields
    }
    return pa.table(columns)


def parquet(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> bytes:
    target = io.BytesIO()
    pq.write_table(_table(rows, fields), target)
    return target.getvalue()


def optimised_row_columnar(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> bytes:
    target = io.BytesIO()
    orc.write_table(_table(rows, fields), target)
    return target.getvalue()


FORMS = {"CSV": comma_separated, "ORC": optimised_row_columnar, "Parquet": parquet}


def inventory(
    source: str,
    rows: list[dict[str, Any]],
    *,
    form: str = "CSV",
    created: datetime,
    bucket: str = "images",
    fields: tuple[str, ...] = FIELDS,
    per_file: int = 4,
    seconds: bool = False,
) -> Written:
    """An inventory in its folder. `seconds`: as OSS writes them, else as S3 does."""
    own, _, folder = source.removeprefix("s3://").partition("/")
    objects, files = {}, []
    for number, start in enumerate(range(0, max(1, len(rows)), per_file)):
        data = FORMS[form](rows[start : start + per_file], fields)
        key = f"{folder}data/{created:%Y%m%d%H%M%S}-{number}.{form.lower()}"
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        files.append({"key": key, "size": len(data), "MD5checksum": digest.upper() if seconds else digest})
        objects[f"s3://{own}/{key}"] = data
    told = {
        "sourceBucket": bucket,
        "destinationBucket": own if seconds else f"arn:aws:s3:::{own}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(created.timestamp() * (1 if seconds else 1000))),
        "fileFormat": form,
        "fileSchema": ", ".join(fields) if form == "CSV" else f"message s3.inventory {{ {fields} }}",
        "files": files,
    }
    dated = f"{source}{created.astimezone(UTC):%Y-%m-%dT%H-%MZ}/"
    objects[f"{dated}manifest.json"] = json.dumps(told).encode()
    return Written(source, objects)
