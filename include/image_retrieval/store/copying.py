"""Arrow tables into PostgreSQL, and vectors out of it, by binary COPY.

The format is described in PostgreSQL's manual under COPY, "Binary Format"; that of a `halfvec` is what `halfvec_send`
of pgvector's src/halfvec.c writes: dimensions (int16), an unused int16, and the values in half precision, all of it in
network order.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from image_retrieval.store.connection import Connection

ROWS_AT_ONCE = 1024
HEADER, TRAILER = 19, 2  # bytes before the first row and after the last
Halfvecs = np.ndarray[tuple[int, ...], np.dtype[np.int16]]
Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]


def copy_in(connection: Connection, copy: sql.Composed, table: pa.Table) -> None:
    """Send a table's columns, in their order, to a statement `COPY … FROM STDIN (FORMAT binary)`.

    Lists of float32 arrive as `halfvec`.
    """
    with connection.cursor().copy(copy) as stream:
        for block in copy_blocks(table):
            stream.write(block)


def copy_blocks(table: pa.Table) -> Iterator[bytes]:
    """A table's columns, in their order, as what binary COPY reads; rows are encoded as they are asked for."""
    encoder = ArrowToPostgresBinaryEncoder(_for_postgres(pa.RecordBatch.from_pylist([], schema=table.schema)).schema)
    yield encoder.write_header()
    for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
        yield encoder.write_batch(_for_postgres(batch))
    yield encoder.finish()


def _for_postgres(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its lists as bytes, which COPY takes for whatever the column's type is."""
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


def copy_out(connection: Connection, copy: sql.Composed, dimensions: int) -> tuple[Ids, Flags, Halfvecs]:
    """What a statement `COPY (SELECT bigint, boolean, halfvec …) TO STDOUT (FORMAT binary)` sends, sorted.

    None of it may be null. PostgreSQL would spill rows of this width to disk, so they are sorted here.
    """
    row = np.dtype(
        [
            ("columns", ">i2"),
            *(("id_length", ">i4"), ("id", ">i8")),
            *(("flag_length", ">i4"), ("flag", "?")),
            *(("vector_length", ">i4"), ("vector", ">i2", (2 + dimensions,))),
        ]
    )
    with connection.cursor().copy(copy) as stream:
        data = b"".join(stream)
    rows = np.frombuffer(data, row, (len(data) - HEADER - TRAILER) // row.itemsize, HEADER)
    rows = rows[np.argsort(rows["id"])]
    return rows["id"].astype(np.int64), rows["flag"], rows["vector"]
