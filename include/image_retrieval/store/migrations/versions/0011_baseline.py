"""Version 11: the oldest that a database can be brought along from. A fresh one gets ../schema/ instead."""

revision = "0011"
down_revision = None


def upgrade() -> None:
    """Nothing: a database is at this version already, or at none."""
