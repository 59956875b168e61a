"""A hybrid search of fixed text for each vector table."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0019_fixed_hybrid_search.sql"))
