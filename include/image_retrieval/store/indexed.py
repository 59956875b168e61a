"""Index files: the temporary tables that hold their lines and what the stores say of them, until `listed` is filled."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

from image_retrieval.store.binary_copy import copy_in
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_batches, fetch_column
from image_retrieval.store.sql import statement

INDEXED = pa.schema(
    [pa.field("line", pa.int64())]
    + [
        pa.field(name, pa.string())
        for name in ("uri", "key", "short_id", "etag", "group_id", "intra_id", "caption", "attributes")
    ]
)
VERSION = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("last_modified", pa.timestamp("us", "UTC")),
    ]
)
UNKNOWN_AT_ONCE = 10_000


class IndexedRow(NamedTuple):
    """A line of an index file: a row of the table `indexed`. `attributes` is JSON that the database can hold."""

    line: int
    uri: str
    key: str
    short_id: str
    etag: str | None
    group_id: str | None
    intra_id: str | None
    caption: str | None
    attributes: str | None


class VersionRow(NamedTuple):
    """What a store says of an object: a row of the table `version`."""

    uri: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket whose members have no version yet: their number, and the first and last URI in order of bytes."""

    bucket: str
    members: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class UrlMember:
    """A URL without a version; `given_up`: its rejection is final, and no version of it was ever told, or read."""

    uri: str
    given_up: bool


@dataclass(frozen=True, slots=True)
class _Unknown:
    uri: str


def create_indexed(connection: Connection) -> None:
    """Create the empty tables `indexed` and `version`."""
    connection.execute(statement("indexed", "create_indexed"))


def write_indexed(connection: Connection, rows: list[IndexedRow]) -> None:
    """Add lines to the table `indexed`."""
    copy_in(connection, statement("indexed", "copy_indexed"), _table(rows, INDEXED))


def write_versions(connection: Connection, rows: list[VersionRow]) -> None:
    """Add objects to the table `version`."""
    copy_in(connection, statement("indexed", "copy_version"), _table(rows, VERSION))


def _table(rows: Iterable[tuple[object, ...]], layout: pa.Schema) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, layout, strict=False)]
    return pa.Table.from_arrays(arrays, schema=layout) if arrays else layout.empty_table()


def analyse_indexed(connection: Connection) -> None:
    """Update the planner's statistics of `indexed` and `version`."""
    connection.execute(statement("indexed", "analyse_indexed"))


def forget_repeated_lines(connection: Connection) -> int:
    """Keep of each URI its first line. Returns the number of removed lines."""
    return connection.execute(statement("indexed", "forget_repeated_lines")).rowcount


def find_places(connection: Connection) -> list[Place]:
    """The buckets that hold members without a version."""
    return fetch_all(connection, Place, statement("indexed", "find_places"))


def read_unknown(connection: Connection, prefix: str) -> Iterator[list[str]]:
    """Members under a prefix whose version is not known, in batches."""
    query = statement("indexed", "read_unknown")
    for batch in fetch_batches(connection, _Unknown, query, {"prefix": prefix}, size=UNKNOWN_AT_ONCE):
        yield [row.uri for row in batch]


def read_urls(connection: Connection, collection: str) -> Iterator[list[UrlMember]]:
    """The URLs among the members whose version is not known, in batches."""
    query = statement("indexed", "read_urls")
    return fetch_batches(connection, UrlMember, query, {"collection": collection}, size=UNKNOWN_AT_ONCE)


def keep_known(connection: Connection, collection: str, uris: list[str]) -> set[str]:
    """Give images whose store does not answer the version last known. Returns the URIs of those that have one."""
    return set(fetch_column(connection, statement("indexed", "keep_known"), {"collection": collection, "uris": uris}))


def fill_listed(connection: Connection) -> int:
    """Put the members whose version is known into the table `listed`. Returns their number."""
    count = connection.execute(statement("indexed", "fill_listed")).rowcount
    connection.execute(statement("indexed", "drop_indexed"))
    return count
