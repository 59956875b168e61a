"""Known images in the order of their URIs, so that a listing is compared as it is read."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from operator import itemgetter, lt

from psycopg import sql
from psycopg.rows import tuple_row

from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_value
from image_retrieval.store.sql import statement

AT_ONCE = 5000  # rows that are fetched
Version = tuple[str | None, str | None, str | None]  # etag, group_id and intra_id
Row = tuple[str, str | None, str | None, str | None]  # URI and version


class Disordered(Exception):
    """The database orders text in another way than by its code points."""


class KnownImages:
    """A space's images that are not deleted, behind a URI if one is given, each with its version.

    The etag is None where more than the version decides whether an image is due. The tables are read as they are now.
    """

    def __init__(self, connection: Connection, space: VectorSpace, behind: str | None = None) -> None:
        plain = fetch_value(connection, statement("known", "find_collation"))
        order = sql.SQL("" if plain else 'COLLATE "C"')
        self._cursor = connection.cursor(name="known", row_factory=tuple_row)
        query = statement("known", "read_known", vectors=space.vector_table, order=order)
        self._cursor.execute(query, {"collection": space.collection, "behind": behind})
        self._rows: list[Row] = []
        self._last, self._more = "", True
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="known")  # the server reads while pages are compared
        self._next: Future[list[Row]] | None = None

    def up_to(self, uri: str) -> dict[str, Version]:
        """The next images up to a URI. Raises Disordered."""
        while self._more and (not self._rows or self._rows[-1][0] <= uri):
            self._fetch()
        inside = bisect_right(self._rows, uri, key=itemgetter(0))
        found = {row[0]: row[1:] for row in self._rows[:inside]}
        del self._rows[:inside]
        return found

    def rest(self) -> Iterator[list[str]]:
        """The URIs of all further images. Raises Disordered."""
        while self._rows or self._more:
            yield [row[0] for row in self._rows]
            self._rows = []
            self._fetch()

    def pause(self) -> None:
        """Wait until the connection is free for other statements. The next call of another method goes on."""
        if self._next is not None:
            self._next.exception()

    def close(self) -> None:
        """Let the server forget the query."""
        self._ahead.shutdown()
        self._cursor.close()

    def _fetch(self) -> None:
        rows = self._next.result() if self._next else self._cursor.fetchmany(AT_ONCE)
        self._next = self._ahead.submit(self._cursor.fetchmany, AT_ONCE) if rows else None
        uris = [row[0] for row in rows]
        if not all(map(lt, chain([self._last], uris), uris)):
            raise Disordered
        self._rows += rows
        self._last, self._more = uris[-1] if uris else self._last, bool(rows)


def create_unlisted(connection: Connection) -> None:
    """Create the empty table `unlisted`, for images whose objects a listing does not hold."""
    connection.execute(statement("known", "create_unlisted"))


def write_unlisted(connection: Connection, uris: Iterable[str]) -> None:
    """Add URIs to the table `unlisted`."""
    with connection.cursor().copy(statement("known", "copy_unlisted")) as copy:
        copy.set_types(["text"])
        for uri in uris:
            copy.write_row((uri,))


def find_compared(connection: Connection, collection: str) -> None:
    """Fill the table `compared` with the images that `listed` and `unlisted` name."""
    connection.execute(statement("known", "find_compared"), {"collection": collection})
    connection.execute(statement("known", "analyse_compared"))


def drop_compared(connection: Connection) -> None:
    """Drop `listed` and `unlisted`, so that a whole listing can be compared."""
    connection.execute(statement("known", "drop_compared"))
