"""Texts that were searched for, and their vectors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from image_retrieval.collection import Collection
from image_retrieval.store.connection import Connection, is_read_only
from image_retrieval.store.sql import statement


def find_query(connection: Connection, model: str, text: str) -> NDArray[np.float32] | None:
    """The stored vector (dimensions,) of a text under a model, or None; counts the use if the database is writable."""
    query = statement("queries", "read_query" if is_read_only(connection) else "find_query")
    row = connection.execute(query, {"model": model, "text": text}).fetchone()
    return np.array(row["embedding"].to_list(), np.float32) if row else None


def keep_query(connection: Connection, model: str, text: str, vector: Any) -> None:
    """Store the vector of a text under a model, for SQL and later searches; does nothing in a read-only database."""
    if is_read_only(connection):
        return
    row = {"model": model, "text": text, "embedding": HalfVector(vector)}
    connection.execute(statement("queries", "keep_query"), row)


def find_vector(connection: Connection, collection: Collection, image_id: str) -> NDArray[np.float32] | None:
    """The vector (dimensions,) of a searchable image under a collection's model, or None if no image has that id."""
    asked = {"collection": collection.name, "image_id": image_id, "model": collection.model.name}
    row = connection.execute(statement("images", "find_vector"), asked).fetchone()
    return np.array(row["embedding"].to_list(), np.float32) if row and row["embedding"] else None


def listen(connection: Connection) -> None:
    """Let a connection receive requests to embed texts."""
    connection.execute(statement("queries", "listen"))
