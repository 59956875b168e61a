import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from image_retrieval.models.calibration import IMAGES, SAME, Calibration
from image_retrieval.pipeline.querying import TermsCancel, direction_of, least_similarity, weighted_sum

X, Y = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
VECTORS = arrays.arrays(np.float32, 8, elements=st.floats(-1, 1, width=32)).filter(lambda v: np.linalg.norm(v) > 0.1)


@given(st.lists(st.tuples(VECTORS, st.floats(0.125, 10)), min_size=1, max_size=5))
def test_terms_become_one_vector_of_length_1_whatever_their_lengths(terms):
    try:
        found = weighted_sum(terms)
    except TermsCancel:
        return
    assert found.dtype == np.float32
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)
    assert weighted_sum([(vector * 7, weight) for vector, weight in terms]) == pytest.approx(found, abs=1e-3)


def test_weights_pull_towards_and_push_away():
    assert weighted_sum([(X, 1), (Y, 1)]) == pytest.approx([2**-0.5, 2**-0.5])
    assert weighted_sum([(X, 2), (Y, -1)]) == pytest.approx([2 / 5**0.5, -1 / 5**0.5])
    with pytest.raises(TermsCancel):
        weighted_sum([(X, 1), (X, -1)])


@pytest.mark.parametrize(
    ("texts", "images", "direction"),
    [
        ([], True, IMAGES),
        ([("red", 1)], False, "text_image_en"),
        ([("红色", 1), ("圆", 1)], False, "text_image_zh"),
        ([("red", 1), ("红色", 1)], False, None),
        ([("red", 1), ("红色", -1)], False, "text_image_en"),
        ([("red", 1)], True, None),
        ([("red", -1)], True, None),
        ([], False, None),
    ],
)
def test_what_scores_are_calibrated_as(texts, images, direction):
    assert direction_of(texts, images=images) == direction


def test_a_score_becomes_the_similarity_that_reaches_it():
    calibration = Calibration(slope=10, middle=0.5)
    assert least_similarity(0.5, calibration) == pytest.approx(0.5)
    assert least_similarity(1, calibration) == SAME
    assert least_similarity(0, calibration) is None
    assert least_similarity(1.1, calibration) == math.inf
    assert least_similarity(None, calibration) is None
    assert least_similarity(-0.3, None) == -0.3
