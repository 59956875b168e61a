"""Tars: what each of them holds, and the listing of their members."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import TYPES
from image_retrieval.store.rows import fetch_all, fetch_batches, fetch_column, fetch_optional
from image_retrieval.store.sql import statement

AT_ONCE = 1  # tars that are read: each may have a million members


@dataclass(frozen=True, slots=True)
class _Seen:
    uri: str
    seen: str


@dataclass(frozen=True, slots=True)
class TarRow:
    """A tar at the version `etag`: its members in columns, with what is said of each as JSON, and its faulty ones.

    `seen` is another version if that could not be read, for `reason`.
    """

    uri: str
    etag: str
    seen: str
    last_modified: datetime
    names: list[str]
    offsets: list[int]
    sizes: list[int]
    abouts: list[str | None]
    faults: list[list[str]]
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a member lies in its tar, and in which version of it."""

    etag: str
    offset: int
    size: int


class MemberRow(NamedTuple):
    """A member of a tar: a row of the table `listed`; `about` is JSON."""

    uri: str
    key: str
    short_id: str
    etag: str
    size: int
    last_modified: datetime
    group_id: str | None
    intra_id: str | None
    about: str | None


def read_seen(connection: Connection, collection: str) -> dict[str, str]:
    """The tars of a collection, and the version of each that was read last."""
    found = fetch_all(connection, _Seen, statement("tars", "read_seen"), {"collection": collection})
    return {row.uri: row.seen for row in found}


def forget_others(connection: Connection, collection: str, uris: Sequence[str]) -> None:
    """Forget what tars held that a source no longer lists."""
    connection.execute(statement("tars", "forget_others"), {"collection": collection, "uris": list(uris)})


def write_tar(connection: Connection, collection: str, row: TarRow) -> None:
    """Record what a version of a tar holds."""
    values = {
        name: getattr(row, name) for name in ("uri", "etag", "last_modified", "names", "offsets", "sizes", "abouts")
    }
    values |= {"collection": collection, "faults": Jsonb(row.faults)}
    connection.execute(statement("tars", "write_tar"), values)


def write_unread(connection: Connection, collection: str, uri: str, seen: str, reason: str, detail: str) -> None:
    """Record that a version of a tar cannot be read. What is known of the version before stays."""
    values = {"collection": collection, "uri": uri, "seen": seen, "reason": reason, "detail": detail}
    connection.execute(statement("tars", "write_unread"), values)


def read_tars(connection: Connection, collection: str) -> Iterator[TarRow]:
    """The tars of a collection, one at a time, in the order of their URIs."""
    query = statement("tars", "read_tars")
    for batch in fetch_batches(connection, TarRow, query, {"collection": collection}, size=AT_ONCE):
        yield from batch


@contextmanager
def writing_members(connection: Connection) -> Iterator[Callable[[MemberRow], None]]:
    """Yield a function that adds members to the table `listed`."""
    with connection.cursor().copy(statement("tars", "copy_listed")) as copy:
        copy.set_types([*TYPES, "jsonb"])

        def write(row: MemberRow) -> None:
            about = None if row.about is None else Jsonb(row.about, dumps=str)  # it is JSON already
            copy.write_row((*row[:-1], about))

        yield write


def keep_descriptions(connection: Connection, collection: str, uris: Sequence[str]) -> None:
    """Describe members of `listed` as they were described before."""
    connection.execute(statement("tars", "keep_descriptions"), {"collection": collection, "uris": list(uris)})


def find_member(connection: Connection, tar: str, name: str) -> Found | None:
    """Where a member of a tar lies; None if no collection knows it."""
    return fetch_optional(connection, Found, statement("tars", "find_member"), {"tar": tar, "name": name})


def find_tars(connection: Connection) -> list[str]:
    """The tars whose members are in the table `indexed`."""
    return fetch_column(connection, statement("tars", "find_tars"))


def write_versions(connection: Connection, collection: str) -> None:
    """Put the versions of members of the table `indexed` into the table `version`."""
    connection.execute(statement("tars", "write_versions"), {"collection": collection})


def read_unknown(connection: Connection) -> list[str]:
    """Members of tars in the table `indexed` that no known tar holds."""
    return fetch_column(connection, statement("tars", "read_unknown"))
