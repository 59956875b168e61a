"""Vector tables and databases get an owner, and changes of the object store are announced."""

from alembic import op

from image_retrieval.store.sql import script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Apply the SQL file of this version."""
    op.get_bind().connection.cursor().execute(script("migrations/0012_real_use.sql"))
