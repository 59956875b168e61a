"""Images bring captions and attributes along from their source, and events hint at changed objects."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0015_sources.sql"))
