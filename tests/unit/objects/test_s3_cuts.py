"""Guessed cuts divide what follows listed keys, in order, wherever these keys are of a kind."""

from hashlib import sha256
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.objects.s3_cuts import AHEAD, guessed_cuts

KEYS = st.lists(st.text(max_size=8) | st.from_regex(r"[ab]/[0-9]{1,4}\.jpg", fullmatch=True), min_size=1, max_size=50)


@given(KEYS.map(sorted), st.none() | st.text(max_size=5))
def test_cuts_follow_the_keys_in_order(keys, upper):
    cuts = guessed_cuts(keys, upper)
    assert len(cuts) <= AHEAD
    assert cuts == sorted(set(cuts))
    assert all(keys[-1] < cut and (upper is None or cut < upper) for cut in cuts)
    assert not any("\ud800" <= letter <= "\udfff" for cut in cuts for letter in cut)


@pytest.mark.parametrize(
    "key",
    [
        "in/{:05}.jpg".format,
        lambda number: f"in/{number // 1000:03}/{number % 1000:03}.jpg",
        lambda number: f"in/{number * 7919 % 2**32:08x}/a.png",
        lambda number: f"in/{sha256(str(number).encode()).hexdigest()}.jpg",
    ],
)
def test_numbered_keys_are_divided_into_parts_of_a_kind(key):
    keys = sorted(map(key, range(20_000)))
    cuts = guessed_cuts(keys[:1000], None)
    parts = [sum(low < name <= high for name in keys) for low, high in pairwise(cuts)]
    assert len(parts) >= 8
    assert 500 <= median(parts) <= 2000
