"""Which project a database is of."""

from image_retrieval.errors import UserError
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement


def project_id(connection: Connection) -> str:
    """The id that `migrate` gave the project of this database. Raises UserError where somebody took it away."""
    row = connection.execute(statement("project", "find")).fetchone()
    if row is None:
        raise UserError("retrieval.project is empty: INSERT INTO retrieval.project DEFAULT VALUES gives it a new id")
    return str(row["id"])
