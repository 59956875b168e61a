"""Inventories: what they are too old to know stays in `listed` as the table knows it."""

from datetime import datetime

from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


def keep_newer(connection: Connection, collection: str, created: datetime) -> int:
    """Leave images as they are that were written, or first seen, after an inventory of the time `created`.

    Returns how many rows `listed` has more than before.
    """
    values = {"collection": collection, "created": created}
    connection.execute(statement("inventories", "keep_newer_versions"), values)
    return connection.execute(statement("inventories", "keep_newer"), values).rowcount
