"""Searches by text keep the best image of each group, too."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0011_text_search.sql").read_text(encoding="utf-8"))
