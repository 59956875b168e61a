"""Data sets: reading a collection in parts, and finding the images of an import's vectors."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa
from psycopg.rows import args_row

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.binary_copy import copy_in
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all, fetch_optional
from image_retrieval.store.sql import statement


@dataclass(frozen=True, slots=True)
class ShownVectors:
    """The model whose vectors a collection's view shows."""

    model: str
    dimensions: int
    revision: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A range of ids, both ends included."""

    first: int
    last: int


class ExportedImage(NamedTuple):
    """A searchable image: the view's columns without `words`, its vector as halfvec_send writes it."""

    image_id: str
    image_path: str
    resampled_image_path: str | None
    image_embedding: bytes
    group_id: str | None
    intra_id: str | None
    caption: str | None
    width: int | None
    height: int | None
    format: str | None
    attributes: str
    created_at: datetime
    updated_at: datetime
    captured_at: datetime | None
    sha256: str | None
    phash: int | None
    aspect: float | None
    orientation: str | None
    colours: list[str] | None
    sharpness: float | None
    complexity: float | None
    captions: str | None


@dataclass(frozen=True, slots=True)
class OfferedImage:
    """What is known of a listed image by its number among those offered; of another version only what was listed."""

    number: int
    id: int
    etag: str
    size: int
    last_modified: datetime
    sha256: str | None
    width: int | None
    height: int | None
    format: str | None
    mode: str | None
    phash: int | None
    captured_at: datetime | None
    colours: str | None
    sharpness: float | None
    complexity: float | None
    resampled_uri: str | None


def find_shown(connection: Connection, collection: str) -> ShownVectors | None:
    """The model whose vectors a collection's view shows, or None before its first run."""
    return fetch_optional(connection, ShownVectors, statement("datasets", "find_shown"), {"name": collection})


def plan_parts(connection: Connection, vectors: str, size: int) -> list[Span]:
    """The ids of a vector table's searchable images, as ranges of `size` images."""
    return fetch_all(connection, Span, statement("datasets", "plan_parts", vectors=vectors), {"size": size})


def read_part(connection: Connection, space: VectorSpace, span: Span, size: int) -> Iterator[list[ExportedImage]]:
    """The rows of a part, `size` at a time."""
    query = statement("datasets", "read_part", vectors=space.vector_table, matching=space.matching)
    with connection.cursor("part", row_factory=args_row(ExportedImage)) as cursor:
        cursor.execute(query, asdict(span), binary=True)
        while rows := cursor.fetchmany(size):
            yield rows


def index_listed(connection: Connection) -> None:
    """Index the table `listed` by URI for `find_offered`."""
    connection.execute(statement("datasets", "index_listed"))


def find_offered(connection: Connection, collection: str, offered: pa.Table) -> list[OfferedImage]:
    """The known facts of the listed images in `offered` (number int64, uri string), in order of their numbers.

    A second offer of the same image has no match.
    """
    connection.execute(statement("datasets", "create_offered"))
    copy_in(connection, statement("datasets", "copy_offered"), offered)
    rows = fetch_all(connection, OfferedImage, statement("datasets", "find_offered"), {"collection": collection})
    connection.execute(statement("datasets", "forget_offered"))
    return rows
