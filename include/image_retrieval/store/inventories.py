"""Inventories: what they are too old to know stays in `listed` as the table knows it."""

from datetime import datetime

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


def keep_newer(connection: Connection, collection: str, created: datetime) -> int:
    """Leave images as they are that were written, first seen or deleted after an inventory of the time `created`.

    Returns how many rows `listed` has more than before, which may be negative.
    """
    values = {"collection": collection, "created": created}
    connection.execute(statement("inventories", "keep_newer_versions"), values)
    forgotten = connection.execute(statement("inventories", "forget_deleted"), values).rowcount
    return connection.execute(statement("inventories", "keep_newer"), values).rowcount - forgotten
