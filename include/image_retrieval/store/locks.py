"""Locks: a collection to oneself, and how to come by a lock without making those who read wait."""

import time
from collections.abc import Callable
from typing import TypeVar

import psycopg

from image_retrieval.errors import Unavailable
from image_retrieval.store.connection import Connection
from image_retrieval.store.failures import Locked
from image_retrieval.store.sql import statement

SECONDS_FOR_A_LOCK = 600.0  # a query that reads so long keeps a view from being replaced, and a table from going
Result = TypeVar("Result")


def lock_collection(connection: Connection, collection: str, *, shortly: bool = False) -> None:
    """Have a collection to oneself until the transaction ends: no listing, registration, switch or removal of it.

    `shortly`: no lock of the transaction is waited for longer than five seconds.
    """
    if shortly:
        connection.execute(statement("locks", "wait_for_others"))
    connection.execute(statement("locks", "lock_collection"), {"collection": collection})


def try_lock_collection(connection: Connection, collection: str, seconds: float) -> bool:
    """The same where that is to be had within so many seconds. Returns whether it was."""
    end = time.monotonic() + seconds
    while True:
        row = connection.execute(statement("locks", "try_lock_collection"), {"collection": collection}).fetchone()
        if row and row["locked"]:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)


def keep_removals_out(connection: Connection, collection: str) -> None:
    """No image of the collection is removed until the transaction ends: its vector would refer to nothing."""
    connection.execute(statement("locks", "keep_removals_out"), {"collection": collection})


def keep_loads_out(connection: Connection, collection: str) -> None:
    """No vector of the collection is loaded until the transaction ends."""
    connection.execute(statement("locks", "keep_loads_out"), {"collection": collection})


def wait_shortly(connection: Connection) -> None:
    """Let the transaction wait 200 ms for a lock: whoever waits for one makes all wait who come after."""
    connection.execute(statement("locks", "wait_shortly"))


def insist(collection: str, attempt: Callable[[], Result], seconds: float = SECONDS_FOR_A_LOCK) -> Result:
    """What an attempt returns that may find no lock: those who read go first, and it is made again.

    Raises Unavailable where none was to be had for so many seconds.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (Locked, psycopg.errors.LockNotAvailable):
            if time.monotonic() > end:
                raise Unavailable(
                    f"collection {collection!r} is being read for {seconds:.0f} seconds without a pause: "
                    "end that query, or try again later"
                ) from None
        time.sleep(min(0.5, seconds / 10))
