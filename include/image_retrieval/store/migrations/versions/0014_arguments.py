"""What the functions of schema images are given is checked, and told by its name."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0011"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0014_arguments.sql").read_text(encoding="utf-8"))
