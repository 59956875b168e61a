"""Sends Arrow tables to PostgreSQL by binary COPY.

The format is described in PostgreSQL's manual under COPY, "Binary Format"; that of a `halfvec` is what `halfvec_send`
of pgvector's src/halfvec.c writes: dimensions (int16), an unused int16, and the values in half precision, all of it in
network order.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql
from xxhash import xxh3_64_intdigest

from image_retrieval.store.connection import Connection

ROWS_AT_ONCE = 1024
Halfvecs = np.ndarray[tuple[int, ...], np.dtype[np.int16]]


def copy_in(connection: Connection, copy: sql.Composed, table: pa.Table) -> None:
    """Send a table's columns, in their order, to a statement `COPY … FROM STDIN (FORMAT binary)`.

    Lists of float32 arrive as `halfvec`.
    """
    with connection.cursor().copy(copy) as stream:
        for block in copy_blocks(table):
            stream.write(block)


def copy_blocks(table: pa.Table) -> Iterator[bytes]:
    """A table's columns, in their order, in the format of binary COPY, encoded lazily."""
    encoder = ArrowToPostgresBinaryEncoder(_for_postgres(pa.RecordBatch.from_pylist([], schema=table.schema)).schema)
    yield encoder.write_header()
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield encoder.write_batch(_for_postgres(batch))
    yield encoder.finish()


def _for_postgres(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its lists as bytes, which COPY reads as the column's type."""
    columns = [_as_bytes(column) if pa.types.is_fixed_size_list(column.type) else column for column in batch.columns]
    return pa.record_batch(columns, names=batch.schema.names)


def _as_bytes(vectors: pa.FixedSizeListArray) -> pa.LargeBinaryArray:
    data = halfvecs(vectors)
    offsets = np.arange(len(data) + 1, dtype=np.int64) * data.shape[1] * data.itemsize
    return pa.Array.from_buffers(pa.large_binary(), len(data), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def halfvecs(vectors: pa.FixedSizeListArray) -> Halfvecs:
    """Lists of float32 as PostgreSQL sends and receives them: (rows, 2 + dimensions), in network order."""
    dimensions = vectors.type.list_size
    data = np.empty((len(vectors), 2 + dimensions), ">i2")
    data[:, :2] = dimensions, 0
    data[:, 2:].view(">f2")[:] = vectors.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimensions)
    return data


def digests(vectors: pa.ChunkedArray) -> pa.Array:
    """XXH3 of each list of float32, as PostgreSQL's bigint."""
    dimensions = vectors.type.list_size
    rows = vectors.combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, dimensions)
    return pa.array(np.fromiter(map(xxh3_64_intdigest, rows), np.uint64, len(rows)).view(np.int64))
