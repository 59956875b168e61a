"""Databases of any kind, names of any kind, and changes that are broken off: what real use brought."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"

FOLDER = Path(__file__).parent.parent
SUBJECTS = ("databases", "spaces", "arguments", "unsupported_names", "pending")


def upgrade() -> None:
    """Apply the SQL files of this version."""
    for subject in SUBJECTS:
        op.get_bind().connection.cursor().execute((FOLDER / f"0012_{subject}.sql").read_text(encoding="utf-8"))
