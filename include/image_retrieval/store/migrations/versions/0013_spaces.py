"""Each vector table belongs to one collection under one model, and each database to one project."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0013_spaces.sql").read_text(encoding="utf-8"))
