"""Scores are fitted on each collection, for models that bring no calibration."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0014_calibration.sql"))
