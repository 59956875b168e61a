"""Files beside images that describe them: the temporary table that takes them out of `listed`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_batches
from image_retrieval.store.sql import statement

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The files with the name of an image, at the versions that were listed."""

    short_id: str
    json_uri: str | None
    json_etag: str | None
    txt_uri: str | None
    txt_etag: str | None


@dataclass(frozen=True, slots=True)
class About:
    """What the files beside an image say of it."""

    short_id: str
    about: dict[str, Any]


def take_sidecars(connection: Connection, collection: str) -> None:
    """Take sidecars out of `listed`, and describe its images as they were described before."""
    connection.execute(statement("sidecars", "take_sidecars"))
    connection.execute(statement("sidecars", "keep_unchanged"), {"collection": collection})


def read_changed(connection: Connection, collection: str) -> Iterator[list[Sidecar]]:
    """The sidecars whose versions are not those that described an image, in batches."""
    values = {"collection": collection}
    return fetch_batches(connection, Sidecar, statement("sidecars", "read_changed"), values, size=AT_ONCE)


def describe_listed(connection: Connection, found: Sequence[About]) -> None:
    """Write into `listed` what sidecars say."""
    with connection.cursor() as cursor:
        rows = [{"short_id": entry.short_id, "about": Jsonb(entry.about)} for entry in found]
        cursor.executemany(statement("sidecars", "describe_listed"), rows)


def drop_sidecars(connection: Connection) -> None:
    """Drop the temporary table."""
    connection.execute(statement("sidecars", "drop_sidecars"))
