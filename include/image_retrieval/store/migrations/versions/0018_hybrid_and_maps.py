"""Vectors of captions, captions in runs, hybrid searches, and maps."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0018_hybrid_and_maps.sql"))
