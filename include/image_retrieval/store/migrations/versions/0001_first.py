"""The tables and the search functions."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL files of this version."""
    cursor = op.get_bind().connection.cursor()
    for name in ("0001_tables.sql", "0001_functions.sql"):
        cursor.execute((FOLDER / name).read_text(encoding="utf-8"))
