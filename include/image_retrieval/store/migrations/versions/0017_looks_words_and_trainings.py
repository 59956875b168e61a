"""Looks, words, captions of models, filters with costs, and trainings."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0017_looks_words_and_trainings.sql"))
