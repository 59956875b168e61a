import datetime

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.client.terms import checked_bound, checked_filter, checked_k, terms_of
from image_retrieval.errors import UserError

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def refused(check, *given):
    """What a check returns, or None where it refuses in one line."""
    try:
        return check(*given)
    except UserError as error:
        told = str(error)
    assert told
    assert "\n" not in told
    return None


@given(ANY, ANY, ANY, ANY)
def test_whatever_is_given_is_taken_or_refused_in_one_line(text, image, image_id, vector):
    found = refused(terms_of, text, image, image_id, vector)
    if found is None:
        return
    assert all(isinstance(term, str) for term, _ in (*found.texts, *found.image_ids))
    assert all(np.linalg.norm(term) == pytest.approx(1, abs=2e-3) for term, _ in found.vectors)


@given(ANY)
@example("\n")
def test_filters_bounds_and_counts_are_taken_or_refused_in_one_line(given):
    assert isinstance(refused(checked_filter, given), dict | None)
    assert isinstance(refused(checked_k, given), int | None)
    assert isinstance(refused(checked_bound, "min_score", given), float | None)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("red", [("red", 1)]),
        (("red", 0.5), [("red", 0.5)]),
        (["red", ("blue", -1)], [("red", 1), ("blue", -1)]),
        (("red", "blue"), [("red", 1), ("blue", 1)]),
        (["red", ("blue", np.float32(0.5))], [("red", 1), ("blue", 0.5)]),
    ],
)
def test_one_thing_a_pair_or_a_list_of_both(given, found):
    assert terms_of(given, None, None, None).texts == found


@pytest.mark.parametrize(
    "given",
    [
        [3.0, 4.0],
        (3, 4),
        np.array([3, 4]),
        np.array([3e30, 4e30]),
        [np.array([3.0, 4.0])],
        (np.array([3.0, 4.0]), 1),
        [([3, 4], 1.0)],
    ],
)
def test_a_vector_of_any_length_is_brought_to_length_1(given):
    [(vector, weight)] = terms_of(None, None, None, given).vectors
    assert vector == pytest.approx([0.6, 0.8])
    assert (vector.dtype, weight) == (np.float32, 1)


def test_a_vector_of_length_1_stays_as_it_is():
    given = np.array([0.6, 0.8002], np.float32)
    assert terms_of(None, None, None, given).vectors[0][0] is given


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "nothing to search for: give text, image, image_id or vector"),
        ({"text": []}, "nothing to search for"),
        ({"text": ("red", -1)}, "with a weight above 0"),
        ({"text": ("red", float("nan"))}, "a weight of text must be from -10 to 10, not nan"),
        ({"text": "\u3000"}, "is blank"),
        ({"text": 5}, "a text must be a str, not int"),
        ({"vector": [0, 0]}, "only zeros"),
        ({"vector": [1, float("inf")]}, "infinity"),
        ({"vector": "red"}, "vector must consist of numbers, not be str"),
        ({"vector": np.eye(2)}, "the shape"),
        ({"image_id": "a" * 10_001}, "no id has more than 10000"),
    ],
)
def test_what_is_wrong_is_named(given, told):
    with pytest.raises(UserError, match=told):
        terms_of(*(given.get(name) for name in ("text", "image", "image_id", "vector")))


def test_filters_take_what_python_has_for_json():
    day = datetime.date(2026, 1, 2)
    given = {"created_at": {"gte": day}, "width": np.int64(5), "group_id": {"any": {"a"}}}
    assert checked_filter(given) == {"created_at": {"gte": "2026-01-02"}, "width": 5, "group_id": {"any": ["a"]}}
    assert checked_filter(None) == {}
    assert checked_k(np.int32(3)) == 3
