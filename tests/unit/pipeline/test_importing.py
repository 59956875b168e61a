"""What a data set's vectors become before they are loaded."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.pipeline.importing import _vectors

DIMENSIONS = 3
NUMBERS = st.floats(width=32)
ROWS = st.lists(st.none() | st.lists(st.none() | NUMBERS, max_size=4), max_size=12)
KINDS = [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float64())]


def read(column):
    bad = {}
    numbers, vectors = _vectors(pa.chunked_array([column]), DIMENSIONS, lambda reason, rows: bad.update({reason: rows}))
    return list(numbers), vectors, bad


def is_good(row):
    return row is not None and len(row) == DIMENSIONS and None not in row and np.isfinite(row).all() and any(row)


@given(rows=ROWS, kind=st.sampled_from(KINDS))
def test_good_rows_come_out_at_length_1_and_each_other_row_with_a_reason(rows, kind):
    numbers, vectors, bad = read(pa.array(rows, kind))
    assert numbers == [number for number, row in enumerate(rows) if is_good(row)]
    assert sorted([*numbers, *(row for found in bad.values() for row in found)]) == list(range(len(rows)))
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors.astype(float), axis=1) == pytest.approx(np.ones(len(numbers)), abs=2**-9)
    for number, vector in zip(numbers, vectors, strict=True):
        given_vector = np.array(rows[number], float)
        cosine = given_vector @ vector / np.linalg.norm(given_vector) / np.linalg.norm(vector.astype(float))
        assert cosine == pytest.approx(1, abs=1e-5)


@given(
    st.lists(st.floats(-1, 1), min_size=DIMENSIONS, max_size=DIMENSIONS).filter(lambda row: max(map(abs, row)) > 0.1)
)
def test_what_half_precision_leaves_of_a_unit_vector_stays_to_the_bit(row):
    half = (np.array(row) / np.linalg.norm(row)).astype(np.float16).astype(np.float32)
    _, vectors, _ = read(pa.array([half.tolist()], pa.list_(pa.float32())))
    assert (vectors[0] == half).all()


def test_lists_of_one_length_and_numbers_of_half_precision_are_taken():
    halves = pa.array([[np.float16(0), np.float16(2), np.float16(0)]], pa.list_(pa.float16()))
    for kind in (pa.list_(pa.float32(), DIMENSIONS), pa.list_(pa.float16()), pa.list_(pa.int32())):
        numbers, vectors, _ = read(halves.cast(kind))
        assert (numbers, vectors.tolist()) == ([0], [[0.0, 1.0, 0.0]])


@pytest.mark.parametrize("column", [pa.array(["a"]), pa.array([0.5]), pa.array([["a"]]), pa.array([[[0.5]]])])
def test_what_is_no_list_of_numbers_is_refused(column):
    with pytest.raises(UserError, match="not lists of numbers"):
        read(column)
