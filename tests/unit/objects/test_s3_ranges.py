"""Ranges of a bucket that are listed at once hold what one listing holds, in its order, or that listing decides."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_s3 import etag_of

from image_retrieval.objects import ANEW, AccessRefused, StoreUnavailable
from unit.objects.spoilers import NAMES, SPOILERS

PREFIX = "s3://bucket/in/"
KEYS = [f"{number:03}.jpg" for number in range(300)]


def listed(objects, cuts=()):
    return [entry.key for page in objects.pages(PREFIX, cuts=cuts) for entry in page]


def counted(pages):
    """The keys of a listing as its reader counts them: what comes before ANEW does not."""
    keys = []
    for page in pages:
        keys = [] if page is ANEW else keys + [entry.key for entry in page]
    return keys


@pytest.fixture
def filled(odd):
    odd.objects = {f"in/{key}": key.encode() for key in KEYS} | {"other/x.jpg": b"x"}
    odd.page = 5
    return odd


@pytest.mark.parametrize(
    "cuts",
    [[], ["100"], ["050.jpg", "100.jpg", "299.jpg"], ["0", "zzz"], ["150.jpg", "150.jpg", "000"], ["\udce9"]],
)
def test_ranges_hold_each_object_once_and_in_order(filled, objects, cuts):
    assert listed(objects, [PREFIX + cut for cut in cuts]) == KEYS


def test_cuts_elsewhere_divide_nothing(filled, objects):
    assert listed(objects, ["s3://bucket/other/x.jpg", "s3://elsewhere/in/100.jpg", "file:///in/100.jpg"]) == KEYS


def test_an_unknown_bucket_is_divided_as_it_is_listed(filled, objects):
    assert listed(objects) == KEYS
    starts = {path.partition("start-after=")[2].partition("&")[0] for path in filled.asked if "max-keys" not in path}
    assert len(starts) > 8


def test_a_short_listing_looks_nothing_up(odd, objects):
    odd.objects = {f"in/{key}": b"1" for key in KEYS}
    assert listed(objects) == KEYS
    assert odd.listings == 2


@pytest.mark.parametrize(
    ("version", "ignored"), [(1, set()), (1, {"start-after"}), (2, {"start-after"}), (2, {"marker"})]
)
def test_a_store_of_any_dialect_is_listed_completely(filled, objects, version, ignored):
    filled.version, filled.ignored = version, ignored
    assert sorted(set(listed(objects, [f"{PREFIX}100.jpg", f"{PREFIX}200.jpg"]))) == KEYS


def test_a_range_that_the_store_leaves_out_is_listed_after_all(filled, objects):
    def hide(answer, number):
        if answer.keys and "in/100.jpg" < answer.keys[0] < "in/200.jpg" and filled.listings < 40:
            answer.keys, answer.cut, answer.token = [], "false", None

    filled.spoil = hide
    found = listed(objects, [f"{PREFIX}100.jpg", f"{PREFIX}200.jpg"])
    assert sorted(set(found)) == KEYS


def test_a_refusal_is_told_at_once(filled, objects):
    filled.refuse_listing = 403, "AccessDenied"
    with pytest.raises(AccessRefused, match="AccessDenied"):
        listed(objects, [f"{PREFIX}100.jpg"])
    assert filled.listings == 0


def test_a_listing_that_nobody_reads_to_its_end_ends(filled, objects):
    pages = objects.pages(PREFIX, cuts=[f"{PREFIX}{key}" for key in KEYS[::10]])
    next(pages)
    pages.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(NAMES, max_size=30),
    st.lists(NAMES, max_size=4),
    st.integers(1, 4),
    st.sampled_from([1, 2]),
    st.dictionaries(st.integers(1, 20), st.integers(0, len(SPOILERS) - 1), max_size=4),
)
def test_ranges_are_the_truth_or_an_error(odd, objects, names, cuts, page, version, spoiled):
    odd.forget()
    odd.objects = {f"in/{name}": name.encode() for name in names}
    odd.page, odd.version = page, version
    odd.spoil = lambda answer, number: SPOILERS[spoiled.get(number, 0)](answer)
    try:
        entries = [entry for page in objects.pages(PREFIX, cuts=[PREFIX + cut for cut in cuts]) for entry in page]
    except StoreUnavailable:
        return
    assert {entry.key: entry.etag for entry in entries} == {name: etag_of(name.encode()) for name in names}
    if not any(spoiled.values()) and version == 2:
        assert [entry.key for entry in entries] == sorted(names)


def test_an_object_that_is_deleted_where_ranges_do_not_meet_does_not_count(filled, objects):
    def delete(answer, number):
        if answer.keys and answer.keys[0] > "in/100.jpg":
            filled.objects.pop("in/000.jpg", None)
            filled.objects.pop("in/101.jpg", None)

    filled.spoil = delete
    found = counted(objects.pages(PREFIX, cuts=[f"{PREFIX}100.jpg", f"{PREFIX}200.jpg"]))
    assert found == sorted(set(found))
    assert set(KEYS) - set(found) <= {"000.jpg", "101.jpg"}
    assert "101.jpg" not in found or found[0] == "000.jpg"  # listed before they were gone


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(NAMES, max_size=30),
    st.lists(NAMES, max_size=4),
    st.integers(1, 4),
    st.dictionaries(st.integers(1, 20), st.tuples(NAMES, st.booleans()), max_size=6),
)
def test_what_was_there_all_the_time_is_listed_once_whatever_else_changes(odd, objects, names, cuts, page, changed):
    odd.forget()
    odd.objects = {f"in/{name}": b"1" for name in names}
    odd.page = page

    def change(answer, number):
        if number in changed:
            name, added = changed[number]
            now = {key: data for key, data in odd.objects.items() if key != f"in/{name}"}
            odd.objects = now | {f"in/{name}": b"1"} if added else now

    odd.spoil = change
    try:
        found = counted(objects.pages(PREFIX, cuts=[PREFIX + cut for cut in cuts]))
    except StoreUnavailable:
        return
    touched = {name for name, _ in changed.values()}
    assert found == sorted(set(found))
    assert names - touched <= set(found) <= names | touched


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(NAMES, max_size=30), st.lists(NAMES, max_size=4), NAMES, st.integers(1, 4))
def test_a_listing_behind_an_object_holds_all_that_follow(odd, objects, names, cuts, behind, page):
    odd.forget()
    odd.objects = {f"in/{name}": b"1" for name in names}
    odd.page = page
    try:
        found = counted(objects.pages_behind(PREFIX, PREFIX + behind, [PREFIX + cut for cut in cuts]))
    except StoreUnavailable:
        return
    assert found == sorted(name for name in names if name > behind)
