"""Objects that no table can hold under their names are rejected by the listing."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0013"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute((FOLDER / "0015_unsupported_names.sql").read_text(encoding="utf-8"))
