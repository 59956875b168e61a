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


def lock_collection(connection: Connection, collection: str) -> None:
    """Have a collection to oneself until the transaction ends: no listing, registration, switch or removal of it."""
    connection.execute(statement("listing", "lock_collection"), {"collection": collection})


def try_lock_collection(connection: Connection, collection: str, seconds: float) -> bool:
    """The same where that is to be had within so many seconds. Returns whether it was."""
    end = time.monotonic() + seconds
    while True:
        row = connection.execute(statement("listing", "try_lock_collection"), {"collection": collection}).fetchone()
        if row and row["locked"]:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.1)


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
