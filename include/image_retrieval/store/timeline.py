"""How many images were taken when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.types.json import Jsonb

from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all
from image_retrieval.store.search import Filter, refused
from image_retrieval.store.sql import statement

Unit = Literal["hour", "day", "week", "month", "quarter", "year", "decade", "century", "millennium"]


@dataclass(frozen=True, slots=True)
class Bar:
    """The images that were taken from a time on, and before another one; both by the cameras' clocks."""

    unit: Unit
    since: datetime
    until: datetime
    images: int


def read_timeline(connection: Connection, collection: str, filter: Filter | None = None, most: int = 60) -> list[Bar]:
    """Images by time of capture: bars of one unit, at most so many, empty ones between others included.

    `filter` as in `search`. Raises UserError.
    """
    wanted = {"collection": collection, "filter": Jsonb(filter or {}), "most": most}
    with refused():
        return fetch_all(connection, Bar, statement("search", "read_timeline"), wanted)
