"""Descriptions of images from several kinds of places, in the temporary table `told` until they are merged."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_batches
from image_retrieval.store.sql import statement

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Listed:
    uri: str


def create_told(connection: Connection) -> None:
    """Create the empty table `told`."""
    connection.execute(statement("told", "create_told"))


def keep_told(connection: Connection, collection: str, kind: str) -> None:
    """Take what a kind said of listed images when it was read last."""
    connection.execute(statement("told", "keep_told"), {"collection": collection, "kind": kind})
    connection.execute(statement("told", "analyse_told"))


def write_told(connection: Connection, kind: str, told: Mapping[str, Mapping[str, object]]) -> None:
    """Write what a kind says of images, by their URIs."""
    values = {"kind": kind, "uris": list(told), "abouts": [json.dumps(about) for about in told.values()]}
    connection.execute(statement("told", "write_told"), values)


def read_listed(connection: Connection) -> Iterator[list[str]]:
    """The URIs of all listed images, in batches."""
    for batch in fetch_batches(connection, _Listed, statement("told", "read_listed"), size=AT_ONCE):
        yield [row.uri for row in batch]


def read_rewritten(connection: Connection) -> Iterator[list[str]]:
    """The URIs of listed objects whose headers were not read since they were written, in batches."""
    for batch in fetch_batches(connection, _Listed, statement("told", "read_rewritten"), size=AT_ONCE):
        yield [row.uri for row in batch]


def merge_told(connection: Connection, order: Sequence[str]) -> None:
    """Describe listed images by what all kinds say, the first of `order` first, and drop the table."""
    connection.execute(statement("told", "analyse_told"))
    connection.execute(statement("told", "merge_told"), {"order": list(order)})
    connection.execute(statement("told", "drop_told"))


def keep_all(connection: Connection, collection: str) -> None:
    """Describe everything in `listed` as it was described before, whatever said it."""
    connection.execute(statement("told", "keep_all"), {"collection": collection})
