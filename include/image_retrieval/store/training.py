"""What a training learns from: a collection's images, and which of them show the same."""

from collections.abc import Iterator
from typing import NamedTuple

from psycopg.rows import args_row

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

BATCH = 10_000


class Trainable(NamedTuple):
    """An image at the version of the table."""

    image_id: str
    uri: str
    etag: str
    size: int
    group_id: str | None
    caption: str | None


def read_trainable(connection: Connection, collection: str) -> Iterator[list[Trainable]]:
    """The images of a collection that are not deleted and not rejected, in order of their ids, in batches."""
    with connection.cursor("trainable", row_factory=args_row(Trainable)) as cursor:
        cursor.execute(statement("training", "read_trainable"), {"collection": collection})
        while rows := cursor.fetchmany(BATCH):
            yield rows


def read_alike(connection: Connection, collection: str) -> Iterator[tuple[str, str]]:
    """Pairs of image ids that show the same file, picture or scene, without those that people marked as different."""
    for row in connection.execute(statement("training", "read_alike"), {"collection": collection}):
        yield row["a"], row["b"]
