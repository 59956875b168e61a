"""The project that a database belongs to."""

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


def project_id(connection: Connection) -> str:
    """The id that `migrate` gave this database's project. Raises UserError if somebody deleted it."""
    row = connection.execute(statement("project", "find")).fetchone()
    if row is None:
        raise UserError("retrieval.project is empty: INSERT INTO retrieval.project DEFAULT VALUES creates a new id")
    return str(row["id"])
