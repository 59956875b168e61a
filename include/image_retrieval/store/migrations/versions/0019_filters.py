"""Searches with filters choose their way by measured costs, and indexes serve filters that are used."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0019"
down_revision = "0016"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0019_filters.sql"))
