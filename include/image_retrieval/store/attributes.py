"""Captions and attributes from people's own tables, by a query of theirs."""

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.rows import fetch_batches
from image_retrieval.store.sql import statement

SECONDS = 600  # for which each statement of the query may take
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Row:
    told: str


def read_rows(settings: Settings, query: str) -> Iterator[list[str]]:
    """The rows of a query as JSON, in batches, in a read-only transaction of its own.

    It runs as the role of the setting `attributes_role`, if that is set. Raises UserError for every error of the query,
    and Unavailable.
    """
    inner = sql.SQL(query.strip().rstrip(";"))  # what people wrote in collections.yaml
    with connect(settings) as connection:
        connection.execute(statement("attributes", "prepare_query", milliseconds=1000 * SECONDS))
        if settings.attributes_role:
            connection.execute(statement("attributes", "become", role=settings.attributes_role))
        for batch in fetch_batches(connection, _Row, statement("attributes", "read_rows", query=inner), size=AT_ONCE):
            yield [row.told for row in batch]


def create_asked(connection: Connection) -> None:
    """Create the empty table `asked`."""
    connection.execute(statement("attributes", "create_asked"))


def write_asked(connection: Connection, keys: list[str], abouts: list[str | None]) -> None:
    """Write what a query says, as JSON, by image or group; None: what it said before."""
    connection.execute(statement("attributes", "write_asked"), {"keys": keys, "abouts": abouts})


def tell_asked(connection: Connection, collection: str, *, by_group: bool) -> None:
    """Put what the table `asked` holds into the table `told`, by the images' ids or groups."""
    connection.execute(statement("attributes", "analyse_asked"))
    query = statement("attributes", "tell_groups") if by_group else statement("attributes", "tell_images")
    connection.execute(query, {"collection": collection})


def drop_asked(connection: Connection) -> None:
    """Drop the table."""
    connection.execute(statement("attributes", "drop_asked"))
