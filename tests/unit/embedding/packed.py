"""Packed shards that a test describes."""

import pyarrow as pa
import pyarrow.parquet as pq

from image_retrieval.shards import resampled_schema

SIDE = 4


def pack(path, count, *, rejected=(), rows_per_group=5, side=SIDE):
    """A packed shard whose row i has the id i, and pixels of the value i unless it is rejected."""
    schema = resampled_schema(side, side)
    columns = {name: pa.nulls(count, schema.field(name).type) for name in schema.names}
    columns |= {
        "id": pa.array(range(count), pa.int64()),
        "image_id": pa.array([str(row) for row in range(count)]),
        "uri": pa.array([f"s3://b/{row}" for row in range(count)]),
        "etag": pa.array(["e"] * count),
        "size": pa.array([1] * count, pa.int64()),
        "last_modified": pa.array([0] * count, pa.timestamp("us", tz="UTC")),
        "reason": pa.array(["truncated" if row in rejected else None for row in range(count)]),
        "pixels": pa.array(
            [None if row in rejected else bytes([row % 251]) * (side * side * 3) for row in range(count)],
            schema.field("pixels").type,
        ),
    }
    with pq.ParquetWriter(path, schema) as out:
        out.write_table(pa.table(columns, schema=schema), row_group_size=rows_per_group)
    return [row for row in range(count) if row not in rejected]
