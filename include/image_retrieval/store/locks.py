"""Locks: locking a collection, and taking locks without making searches wait."""

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from image_retrieval.errors import Unavailable
from image_retrieval.store.connection import Connection
from image_retrieval.store.failures import Locked
from image_retrieval.store.sql import statement

SECONDS_FOR_A_LOCK = 600.0  # a longer query keeps a view from being replaced, or a table from being dropped
Result = TypeVar("Result")


def lock_collection(connection: Connection, collection: str, *, shortly: bool = False) -> None:
    """Lock a collection until the transaction ends: no listing, registration, switch or removal happens meanwhile.

    `shortly`: the transaction waits at most five seconds for any lock.
    """
    if shortly:
        connection.execute(statement("locks", "wait_for_others"))
    connection.execute(statement("locks", "lock_collection"), {"collection": collection})


def try_lock_collection(connection: Connection, collection: str, seconds: float) -> bool:
    """Lock a collection if that is possible within `seconds`. Returns whether it was."""
    end = time.monotonic() + seconds
    while True:
        row = connection.execute(statement("locks", "try_lock_collection"), {"collection": collection}).fetchone()
        if row and row["locked"]:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)


def keep_removals_out(connection: Connection, collection: str) -> None:
    """Keep the collection's images from being removed until the transaction ends, since vectors refer to them."""
    connection.execute(statement("locks", "keep_removals_out"), {"collection": collection})


def keep_loads_out(connection: Connection, collection: str) -> None:
    """Keep vectors of the collection from being loaded until the transaction ends."""
    connection.execute(statement("locks", "keep_loads_out"), {"collection": collection})


def wait_shortly(connection: Connection) -> None:
    """Let the transaction wait only 200 ms for a lock: a waiting session makes all later ones wait."""
    connection.execute(statement("locks", "wait_shortly"))


def insist(collection: str, attempt: Callable[[], Result], seconds: float = SECONDS_FOR_A_LOCK) -> Result:
    """Repeat an attempt until it gets its lock, and return its result. Searches go first.

    Raises Unavailable if it got no lock within `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (Locked, psycopg.errors.LockNotAvailable):
            if time.monotonic() > end:
                raise Unavailable(
                    f"queries have read collection {collection!r} for {seconds:.0f} seconds without a pause: "
                    "end them, or try again later"
                ) from None
        time.sleep(min(0.5, seconds / 10))
