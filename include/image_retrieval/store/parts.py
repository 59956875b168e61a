"""Parts of a listing under way, which outlive its transaction."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from image_retrieval.errors import Reason
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import ListedRow, Refused
from image_retrieval.store.rows import fetch_all, fetch_value
from image_retrieval.store.sql import statement

HOURS = 6  # after which a part no longer counts


@dataclass(frozen=True, slots=True)
class PartKey:
    """Whose parts they are: those of a run under a digest of the collection's entry."""

    collection: str
    run_id: str
    declared: str


@dataclass(frozen=True, slots=True)
class SavedPart:
    """A part's place, its last URI, the number of its images, what it refused, and whether it still counts."""

    number: int
    up_to: str
    listed: int
    refused: list[dict[str, str]]
    counts: bool = True


def find_start(connection: Connection) -> datetime:
    """When the transaction began."""
    began: datetime = fetch_value(connection, statement("parts", "find_start"))
    return began


def save_part(
    connection: Connection,
    key: PartKey,
    part: SavedPart,
    rows: Sequence[ListedRow],
    missing: Sequence[str],
    began: datetime,
) -> None:
    """Save what a part of the listing found. `began` is when the listing's own transaction did."""
    written = [{**row._asdict(), "last_modified": row.last_modified.isoformat()} for row in rows]
    found = {"rows": Jsonb(written), "missing": Jsonb(list(missing)), "refused": Jsonb(part.refused), "began": began}
    place = {"number": part.number, "up_to": part.up_to, "listed": part.listed}
    connection.execute(statement("parts", "save"), {**asdict(key), **place, **found})


def find_parts(connection: Connection, key: PartKey) -> list[SavedPart]:
    """The saved parts of a run, in order."""
    return fetch_all(connection, SavedPart, statement("parts", "find"), {**asdict(key), "hours": HOURS})


def take_parts(connection: Connection, key: PartKey) -> None:
    """Put the rows of a run's parts into the tables `listed` and `unlisted`."""
    connection.execute(statement("parts", "take_rows"), asdict(key))
    connection.execute(statement("parts", "take_missing"), asdict(key))


def forget_parts(connection: Connection, collection: str) -> None:
    """Delete the parts of a collection's listings."""
    connection.execute(statement("parts", "forget"), {"collection": collection})


def refused_of(parts: Sequence[SavedPart]) -> list[Refused]:
    """What saved parts refused."""
    told = (entry for part in parts for entry in part.refused)
    return [Refused(each["uri"], each["etag"], Reason(each["reason"]), each["detail"]) for each in told]
