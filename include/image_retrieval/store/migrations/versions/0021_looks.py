"""Pictures are told by their colours, sharpness and complexity."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0021"
down_revision = "0016"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0021_looks.sql"))
