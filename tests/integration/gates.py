"""Gates in the database, at which a process waits until a test has seen it there."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager

import psycopg

from integration.tables import rows

GATE = 4711
SECONDS = 90
HANGS = 900  # seconds after which a process that runs counts as hung: a busy machine takes minutes to load a model
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
def command_at(condition: Callable[[], bool], *arguments: str):
    """A process of the command line, once the condition holds; it is killed when the block ends, if it still runs."""
    process = subprocess.Popen([sys.executable, "-m", "image_retrieval.cli", *arguments], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + HANGS
        while not condition():
            assert process.poll() is None, f"it ended with {process.returncode} before it came to that"
            assert time.monotonic() < end, "it hangs"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


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
