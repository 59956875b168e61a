"""The database connections of one client."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from image_retrieval.client.errors import ClientClosed
from image_retrieval.settings import Settings
from image_retrieval.store.connection import Connection, Pool, connect, connection_pool, live_connection, where
from image_retrieval.store.failures import told_in_one_line

SIZE = 8  # connections; further threads wait


class Database:
    """Connections that are opened when needed and kept open. Thread-safe within one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._process = settings, os.getpid()
        self._pool: Pool | None = None
        self._lock, self._places = threading.Lock(), threading.BoundedSemaphore(SIZE)
        self._closed = False

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """A connection whose statements commit one by one. Raises UserError, also for errors within the block."""
        if self._closed:
            raise ClientClosed("this client is closed: create another one")
        if self._process != os.getpid():  # two processes cannot share a connection
            raise ClientClosed("this client belongs to the process that was forked: create one in each process")
        with self._places, told_in_one_line(where(self._settings)), live_connection(self._opened()) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections; those in use are closed when their block ends."""
        self._closed = True
        if self._process == os.getpid():
            with self._lock:
                pool, self._pool = self._pool, None
            if pool is not None:
                pool.close()

    def _opened(self) -> Pool:
        with self._lock:
            if self._pool is None:
                with connect(self._settings, keep_limits=True):  # checks the database, and explains what is wrong
                    self._pool = connection_pool(self._settings, SIZE)
            return self._pool
