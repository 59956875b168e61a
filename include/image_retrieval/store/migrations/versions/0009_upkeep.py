"""Duplicates in tiers, and what people say of them."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0009_upkeep.sql").read_text(encoding="utf-8"))
