import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from image_retrieval.store.binary_copy import digests

ROWS = st.lists(st.tuples(*[st.floats(-1, 1, width=32)] * 3), max_size=8)


def column(rows, chunks=1):
    values = np.array(rows, np.float32).reshape(-1, 3)
    parts = [
        pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), 3) for part in np.array_split(values, chunks)
    ]
    return pa.chunked_array(parts, pa.list_(pa.float32(), 3))


@given(ROWS, st.integers(1, 3))
def test_a_digest_is_that_of_the_row_wherever_it_stands(rows, chunks):
    found = digests(column(rows, chunks))
    assert found.type == pa.int64()
    expected = [xxh3_64_intdigest(np.array(row, "<f4").tobytes()) for row in rows]
    assert [digest % 2**64 for digest in found.to_pylist()] == expected


def test_the_least_change_is_another_digest():
    row = np.full(3, 0.5, np.float32)
    found = digests(column([row, np.nextafter(row, np.float32(1)), row[::-1], -row]))
    assert len(set(found.to_pylist())) == 3
    assert found[0] == found[2]
