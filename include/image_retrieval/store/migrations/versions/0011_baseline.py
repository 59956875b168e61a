"""Version 11: the oldest that can be migrated. A fresh database is created from store/schema/ instead."""

revision = "0011"
down_revision = None


def upgrade() -> None:
    """Do nothing: a database either has this version already, or is fresh."""
