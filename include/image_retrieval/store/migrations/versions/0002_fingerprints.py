"""Fingerprints of the images."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0002_fingerprints.sql").read_text(encoding="utf-8"))
