"""The frequencies of the words of captions."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0020_caption_words.sql"))
