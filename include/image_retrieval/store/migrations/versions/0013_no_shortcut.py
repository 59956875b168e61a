"""The most frequent search works without a function that each collection rewrites."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0013_no_shortcut.sql"))
