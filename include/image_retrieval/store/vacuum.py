"""Vacuum, where it is worth its time: dead rows cost every scan, and removing them from an HNSW graph costs much."""

import structlog

from image_retrieval.settings import Settings
from image_retrieval.store.connection import session
from image_retrieval.store.sql import statement

DEAD = 0.05  # dead rows, as a share of all; PostgreSQL's own autovacuum waits for a fifth

log = structlog.get_logger()


def plan_vacuum(live: int, dead: int) -> tuple[bool, str]:
    """Whether a table of so many live and dead rows is to be vacuumed, and why."""
    share = dead / max(1, live + dead)
    wanted = share > DEAD
    return wanted, f"{dead} of {live + dead} rows are dead, {'over' if wanted else 'not over'} {DEAD:.0%}"


def ensure_vacuumed(table: str, settings: Settings) -> bool:
    """Vacuum and analyse a table of schema `retrieval` where that is due. Returns whether it was."""
    with session(settings) as connection:
        row = connection.execute(statement("vacuum", "read_dead"), {"table": table}).fetchone()
        if row is None:
            return False
        wanted, reason = plan_vacuum(row["live"], row["dead"])
        log.info("vacuum" if wanted else "no vacuum", table=table, plan=reason)
        if wanted:
            connection.execute(statement("vacuum", "vacuum", table=table))
    return wanted
