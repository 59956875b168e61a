"""Tables of each format in a folder or a bucket, written by other code than that which reads them."""

import io
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyiceberg.catalog.memory import InMemoryCatalog

from image_retrieval.objects import ObjectStore, local_path
from image_retrieval.objects.library_access import delta_options, iceberg_properties

Write = Callable[[str, pa.Table, ObjectStore], None]


def parquet(source: str, table: pa.Table, store: ObjectStore) -> None:
    """Files of a few rows, beside those that engines leave."""
    store.delete_under(source)
    half = max(1, len(table) // 2)
    for number, start in enumerate(range(0, max(1, len(table)), half)):
        target = io.BytesIO()
        pq.write_table(table.slice(start, half), target, row_group_size=2)
        store.write(f"{source}day={number}/part-{number:03}.parquet", target.getvalue())
    store.write(f"{source}_SUCCESS", b"")
    store.write(f"{source}_temporary/0.parquet", b"half")


def delta(source: str, table: pa.Table, store: ObjectStore) -> None:
    path, access = local_path(source), store.access(source)
    options = None if access is None else delta_options(access, source) | {"aws_s3_allow_unsafe_rename": "true"}
    write_deltalake(source if path is None else path, table, mode="overwrite", storage_options=options)


def iceberg(source: str, table: pa.Table, store: ObjectStore) -> None:
    access = store.access(source)
    properties: dict[str, Any] = {} if access is None else iceberg_properties(access)
    catalog = InMemoryCatalog("tests", warehouse=source, **properties)
    catalog.create_namespace("n")
    metadata = [
        entry.uri
        for page in store.pages(f"{source}metadata/", missing_ok=True)
        for entry in page
        if entry.key.endswith(".metadata.json")
    ]
    if metadata:
        made = catalog.register_table("n.t", max(metadata))
    else:
        made = catalog.create_table("n.t", table.schema, location=source.rstrip("/"))
    made.overwrite(table)


WRITERS: dict[str, Write] = {"parquet": parquet, "delta": delta, "iceberg": iceberg}
