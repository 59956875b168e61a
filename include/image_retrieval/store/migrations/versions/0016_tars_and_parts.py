"""Sources hold pictures in tars, and a listing that is killed goes on where it was."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0016_tars_and_parts.sql"))
