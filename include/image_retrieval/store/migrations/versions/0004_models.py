"""Digest and precision of models."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0004_models.sql").read_text(encoding="utf-8"))
