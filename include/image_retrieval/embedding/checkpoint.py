"""Saves a shard's finished vectors as parts beside its output, from which another process can continue."""

import io
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from image_retrieval.objects import NotDeleted, ObjectStore
from image_retrieval.shards import VECTORS_PER_GROUP

log = structlog.get_logger()
SECONDS = 10.0  # the most work that a killed process may lose


class Parts:
    """Rows of an embeddings file, saved every ten seconds, and as soon as they fill a row group of that file.

    `made_of` identifies the input and model. A part is named by the number of its first row, and appears completely or
    not at all. Two processes on one shard write parts of the same rows, so any chain of parts from row 0 is valid.
    """

    def __init__(self, store: ObjectStore, embeddings: str, made_of: str) -> None:
        self._store, self._all, self._own = store, f"{embeddings}.parts/", f"{embeddings}.parts/{made_of}/"
        self._rows: list[pa.Table] = []
        self._first = 0
        self._saved_at = time.monotonic()

    def saved(self) -> Iterator[pa.Table]:
        """The rows that earlier processes saved, in the order of the shard; added rows come after them."""
        pages = self._store.pages(self._own, missing_ok=True)
        there = {int(PurePosixPath(entry.key).stem): entry.uri for page in pages for entry in page}
        while self._first in there:
            table = pq.read_table(io.BytesIO(self._store.read(there[self._first])))
            self._first += len(table)
            yield table

    def add(self, table: pa.Table) -> None:
        """Add rows, and save if it is time."""
        self._rows.append(table)
        if time.monotonic() - self._saved_at >= SECONDS or sum(map(len, self._rows)) >= VECTORS_PER_GROUP:
            self.save()

    def save(self) -> None:
        """Save the rows that are not saved yet."""
        if self._rows:
            table = pa.concat_tables(self._rows)
            data = io.BytesIO()
            pq.write_table(table, data, compression="none", use_dictionary=False)
            self._store.write(f"{self._own}{self._first:09}.parquet", data.getvalue())
            self._first += len(table)
            self._rows = []
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Delete all parts, once the file is written."""
        try:
            self._store.delete_under(self._all)
        except NotDeleted as error:  # the end of the next run tries again
            log.warning("parts of an embeddings file were not deleted", cause=str(error))
