"""Gates in the database, at which a process waits until a test has seen it there."""

import time
from collections.abc import Callable
from contextlib import contextmanager

import psycopg

from integration.tables import rows

GATE = 4711
SECONDS = 90
GATES = {
    "list": "INSERT ON retrieval.run",
    "upsert": "INSERT ON retrieval.shard",
    "index": "INSERT ON retrieval.collection",
    "report": "UPDATE OF state ON retrieval.run",
}


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


@contextmanager
def a_gate(url: str, event: str):
    """Makes whoever causes the event wait, in its transaction, until the block ends."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN PERFORM pg_advisory_xact_lock({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER gate BEFORE {event} FOR EACH ROW EXECUTE FUNCTION wait_at_gate();
            SELECT pg_advisory_lock({GATE});
            """.encode()
        )
        try:
            yield lambda: bool(
                rows(url, f"SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {GATE} AND NOT granted")
            )
        finally:
            connection.execute(f"SELECT pg_advisory_unlock({GATE})".encode())
            connection.execute(b"DROP FUNCTION wait_at_gate CASCADE")
