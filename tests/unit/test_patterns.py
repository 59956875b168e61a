"""Regular expressions that users write."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.patterns import LONGEST, find_groups, group_names

NESTED = [
    "^(?P<group_id>(a+)+)/$",
    "(?P<group_id>(a|a)*)/$",
    "(?P<group_id>(a*)*(a*)*(a*)*)/$",
    "(?P<group_id>(.*a){30})/$",
]


@pytest.mark.parametrize("pattern", NESTED)
def test_nested_repeats_take_a_time_that_grows_with_the_text(pattern):
    started = time.monotonic()
    assert find_groups(pattern, "a" * 20_000) == {}
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<group_id>" + r"(?:\w?){100}" * 3 + ")x$",
        "(?P<group_id>" + "(?:.?.?){499}" * 35 + ")x$",
        "(?P<group_id>(?:" + "|".join(f".{{0,{most}}}" for most in range(40)) + "){1,20})x$",
    ],
)
def test_a_pattern_that_takes_much_memory_is_refused(pattern):
    with pytest.raises(ValueError, match="too large"):
        group_names(pattern)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?=a)(?P<group_id>a)", "no look-around"),
        ("(?<!a)(?P<group_id>a)", "no look-around"),
        (r"(?P<group_id>a)\1", "no back-references"),
        ("(?P<group_id>a)(?P=group_id)", "no back-references"),
        ("(?P<group_id>a++)", "RE2"),
        ("(?P<group_id>(?>a))", "RE2"),
        ("(?P<group_id>a", r"missing \)"),
        ("(?P<group_id>a{1001})", "RE2"),
        ("(?P<group_id>a{1,99999999999})", "RE2"),
        ("\\", "RE2"),
        (r"(?P<group_id>[^\W_]+)", r"\\W within brackets"),
        (r"(?P<group_id>\C)", r"\\C"),
        ("(?P<group_id>\ud800)", "surrogates"),
        ("a" * (LONGEST + 1), f"at most {LONGEST}"),
    ],
)
def test_what_is_not_taken_is_told_in_one_line(pattern, told):
    with pytest.raises(ValueError, match=told) as refused:
        group_names(pattern)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    "pattern",
    [
        r"^(?P<group_id>\w+)/(?P<intra_id>\d+)",
        r"(?P<group_id>[\w-]+)\W(?P<intra_id>[^\d])",
        r"(?P<group_id>\S+)\s(?P<intra_id>[]\s]+)",
        r"(?P<group_id>\D*)\Z",
        r"(?i)(?P<group_id>É)",
        "(?P<group_id>.)(?P<intra_id>x)?",
        "(?P<group_id>a{,2})/?(?P<intra_id>1{1,2})[{9999}]?",
    ],
)
@given(text=st.text("aé日٣1_- /]\x1f\x85\u3000xÉ\n", max_size=12))
def test_groups_are_those_that_python_finds(pattern, text):
    found = re.search(pattern, text)
    assert find_groups(pattern, text) == (found.groupdict() if found else {})
