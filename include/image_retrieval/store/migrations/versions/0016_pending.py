"""What is about to be changed in the object store is announced."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0016_pending.sql").read_text(encoding="utf-8"))
