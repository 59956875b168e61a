"""Files beside images that describe them: the temporary table that takes them out of `listed`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_batches
from image_retrieval.store.sql import statement
from image_retrieval.store.told import keep_told

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


def take_sidecars(connection: Connection) -> None:
    """Take sidecars out of `listed`."""
    connection.execute(statement("sidecars", "take_sidecars"))


def keep_unchanged(connection: Connection, collection: str) -> None:
    """Take what sidecars said of images when they were read last; those that are gone no longer say anything."""
    keep_told(connection, collection, "sidecar")
    connection.execute(statement("sidecars", "forget_removed"))


def read_changed(connection: Connection) -> Iterator[list[Sidecar]]:
    """The sidecars whose versions are not those that described an image, in batches."""
    return fetch_batches(connection, Sidecar, statement("sidecars", "read_changed"), size=AT_ONCE)


def tell_sidecars(connection: Connection, found: Sequence[About]) -> None:
    """Write into `told` what sidecars say."""
    with connection.cursor() as cursor:
        rows = [{"short_id": entry.short_id, "about": Jsonb(entry.about)} for entry in found]
        cursor.executemany(statement("sidecars", "tell_sidecar"), rows)


def drop_sidecars(connection: Connection) -> None:
    """Drop the temporary table."""
    connection.execute(statement("sidecars", "drop_sidecars"))
