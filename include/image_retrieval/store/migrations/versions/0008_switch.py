"""Switches of a collection to another model; searches that are of one model from begin to end."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0008_switch.sql").read_text(encoding="utf-8"))
