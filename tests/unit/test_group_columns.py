"""Groups that are found in many texts at once are those that are found in each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.group_columns import find_all_groups
from image_retrieval.patterns import find_groups

NAMES = ("group_id", "intra_id")
PATTERNS = [
    "^(?P<group_id>[^/]+)/(?P<intra_id>.+)",
    "(?P<group_id>a*)(?P<intra_id>b)?",
    r"(?P<group_id>\d+)",
    r"(?P<intra_id>\w+)$",
    "(x)?(?P<group_id>[^/]*)",
    "^(?:(?P<group_id>a)|(?P<intra_id>.))",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(texts=st.lists(st.text() | st.text("ab1/x\n٣é", max_size=8), max_size=20))
def test_groups_of_many_texts_are_those_of_each(pattern, texts):
    found = [find_groups(pattern, text) for text in texts]
    assert find_all_groups(pattern, texts, NAMES) == [[each.get(name) for each in found] for name in NAMES]
