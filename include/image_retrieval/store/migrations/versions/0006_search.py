"""Complete searches with typed filters, distances, and the recall of indexes."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"

FOLDER = Path(__file__).parent.parent


def upgrade() -> None:
    """Apply the SQL files of this version."""
    for file in ("0006_index.sql", "0006_filters.sql", "0006_search.sql"):
        op.get_bind().connection.cursor().execute((FOLDER / file).read_text(encoding="utf-8"))
