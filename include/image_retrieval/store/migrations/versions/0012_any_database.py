"""Functions mean the same for every caller, wherever pgvector is."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0012_any_database.sql").read_text(encoding="utf-8"))
