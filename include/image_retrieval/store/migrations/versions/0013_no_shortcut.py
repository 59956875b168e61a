"""The most frequent search needs no function that is written anew with each collection."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0013_no_shortcut.sql"))
