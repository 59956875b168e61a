"""Vacuums tables when it pays: dead rows slow down every scan, but removing them from an HNSW graph is slow, too."""

from dataclasses import dataclass

import structlog

from image_retrieval.settings import Settings
from image_retrieval.store.connection import session
from image_retrieval.store.rows import fetch_optional
from image_retrieval.store.sql import statement

DEAD = 0.05  # dead rows, as a share of all; PostgreSQL's own autovacuum waits for a fifth

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Rows:
    live: int
    dead: int


def plan_vacuum(live: int, dead: int) -> tuple[bool, str]:
    """Whether to vacuum a table with these numbers of live and dead rows, and why."""
    share = dead / max(1, live + dead)
    wanted = share > DEAD
    return wanted, f"{dead} of {live + dead} rows are dead, {'over' if wanted else 'not over'} {DEAD:.0%}"


def ensure_vacuumed(table: str, settings: Settings) -> bool:
    """Vacuum and analyse a table of schema `retrieval` if needed. Returns whether it was."""
    with session(settings) as connection:
        rows = fetch_optional(connection, _Rows, statement("vacuum", "read_dead"), {"table": table})
        if rows is None:
            return False
        wanted, reason = plan_vacuum(rows.live, rows.dead)
        log.info("vacuum" if wanted else "no vacuum", table=table, plan=reason)
        if wanted:
            connection.execute(statement("vacuum", "vacuum", table=table))
    return wanted
