"""Whatever a store answers to a listing: what comes is all there is, or an error."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_s3 import etag_of

from image_retrieval.objects import AccessRefused, ListingIncomplete, StoreUnavailable
from image_retrieval.objects.s3_listing import require_told_whether_cut
from unit.objects.spoilers import NAMES, SPOILERS

KEYS = [f"in/{number:02}.jpg" for number in range(11)]


def listed(objects, prefix="s3://bucket/in/"):
    return [entry for page in objects.pages(prefix) for entry in page]


@pytest.fixture
def filled(odd):
    odd.objects = {key: key.encode() for key in KEYS} | {"other/x.jpg": b"x"}
    odd.page = 4
    return odd


def test_a_listing_tells_what_is_known_of_each_object(filled, objects):
    entries = listed(objects)
    assert [entry.uri for entry in entries] == [f"s3://bucket/{key}" for key in KEYS]
    assert [entry.key for entry in entries] == [key.removeprefix("in/") for key in KEYS]
    assert [entry.etag for entry in entries] == [etag_of(key.encode()) for key in KEYS]
    assert {entry.size for entry in entries} == {9}
    assert {entry.last_modified.isoformat() for entry in entries} == {"2026-01-02T03:04:05+00:00"}


def test_a_time_that_no_table_can_hold_is_the_beginning_of_time(filled, objects):
    def late(answer, number):
        answer.written = lambda body: body.replace(b"2026-01-02T03:04:05.000Z", b"9999-12-31T23:59:59-05:00")

    filled.spoil = late
    assert {entry.last_modified.isoformat() for entry in listed(objects)} == {"1970-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("version", "ignored"),
    [
        (1, set()),
        (1, {"start-after"}),
        (2, {"continuation-token"}),
        (2, {"start-after"}),
        (2, {"marker"}),
        (2, {"encoding-type"}),
    ],
)
def test_every_dialect_is_listed_completely(filled, objects, version, ignored):
    filled.version, filled.ignored = version, ignored
    if "continuation-token" in ignored:  # it would begin anew
        with pytest.raises(ListingIncomplete, match="are listed twice"):
            listed(objects)
    else:
        assert [entry.uri for entry in listed(objects)] == [f"s3://bucket/{key}" for key in KEYS]


@pytest.mark.parametrize(
    "key", ["a+b.jpg", "a b.jpg", "a%20b.jpg", "a%2Bb.jpg", "é&<>\"'.jpg", "//", "a\n\r\t.jpg", "\x01"]
)
def test_a_key_is_told_as_it_is(odd, objects, key):
    odd.objects = {f"in/{key}": b"1"}
    assert [entry.key for entry in listed(objects)] == [key]
    assert objects.read(f"s3://bucket/in/{key}") == b"1"


def test_a_key_that_is_no_text_keeps_its_bytes(odd, objects):
    odd.objects = {"in/caf\udce9.jpg": b"1", "in/b.jpg": b"2"}
    assert {entry.key for entry in listed(objects)} == {"caf\udce9.jpg", "b.jpg"}


def says(**values):
    def spoil(answer, number):
        for name, value in values.items():
            setattr(answer, name, value)

    return spoil


def first(**values):
    def spoil(answer, number):
        if number == 1:
            says(**values)(answer, number)

    return spoil


ODD = [
    (says(cut=""), "does not say whether it is truncated"),
    (says(cut="True"), "says IsTruncated 'True'"),
    (says(cut="1"), "says IsTruncated '1'"),
    (says(etags=False), "has no ETag for 'in/00.jpg'"),
    (says(more="<KeyCount>99</KeyCount>"), "counts 99 objects and lists 4"),
    (says(more="<CommonPrefixes><Prefix>in/x/</Prefix></CommonPrefixes>"), "lists folders instead of objects"),
    (says(written=lambda body: body[: len(body) // 2]), "fails at|cannot be read"),
    (says(written=lambda body: b""), "fails at|does not say"),
    (says(written=lambda body: b"<html><body>Log in</body></html>"), "does not say whether it is truncated"),
    (says(written=lambda body: body.replace(b"<Size>9</Size>", b"")), "has no Size for"),
    (says(written=lambda body: body.replace(b"<Size>9<", b"<Size>99999999999999999999<")), "has 9+ bytes"),
    (says(written=lambda body: body.replace(b"<Size>9<", b"<Size>-1<")), "has -1 bytes"),
    (says(written=lambda body: body.replace(b"03:04:05.000Z", b"yesterday")), "cannot be read"),
    (says(written=lambda body: body.replace(b"in/01.jpg", b"other/01.jpg")), "which was not asked for"),
    (says(token="always"), "no new continuation token|are listed twice"),
    (says(keys=[], cut="true", token=None), "no new continuation token"),
    (says(keys=[], cut="true", token="again"), "no new continuation token"),
]


@pytest.mark.parametrize(("spoil", "told"), ODD)
def test_an_answer_that_lacks_what_a_listing_needs_ends_it(filled, objects, spoil, told):
    filled.spoil = spoil
    with pytest.raises(StoreUnavailable, match=told) as ended:
        listed(objects)
    assert "s3://bucket/in/" in str(ended.value)
    assert "\n" not in str(ended.value)


@pytest.mark.parametrize(
    "spoil", [first(written=lambda body: body[:-40]), first(cut=""), first(written=lambda body: b"<html/>")]
)
def test_an_answer_that_is_broken_once_is_asked_for_again(filled, objects, spoil):
    filled.spoil = spoil
    assert len(listed(objects)) == len(KEYS)


def test_a_store_that_says_too_early_that_this_was_all_is_asked_for_the_rest(filled, objects):
    filled.spoil = says(cut="false", token=None)
    assert [entry.uri for entry in listed(objects)] == [f"s3://bucket/{key}" for key in KEYS]


def test_tokens_without_end_end(filled, objects):
    filled.ignored = {"continuation-token"}
    filled.spoil = lambda answer, number: says(token=f"token {number}", cut="true")(answer, number)
    with pytest.raises(ListingIncomplete, match="are listed twice"):
        listed(objects)


def test_a_store_that_ignores_the_prefix_is_told(filled, objects):
    filled.ignored = {"prefix"}
    with pytest.raises(ListingIncomplete, match=r"lists 'other/x\.jpg', which was not asked for"):
        listed(objects)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "AccessDenied", AccessRefused),
        (403, "InvalidAccessKeyId", StoreUnavailable),
        (400, "ExpiredToken", StoreUnavailable),
    ],
)
def test_a_listing_that_is_refused_is_told(filled, objects, status, code, kind):
    filled.refuse_listing = status, code
    with pytest.raises(kind, match=code):
        listed(objects)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(NAMES, max_size=12),
    st.integers(1, 5),
    st.sampled_from([1, 2]),
    st.dictionaries(st.integers(1, 8), st.integers(0, len(SPOILERS) - 1)),
)
def test_a_listing_is_the_truth_or_an_error(odd, objects, names, page, version, spoiled):
    odd.forget()
    odd.objects = {f"in/{name}": name.encode() for name in names}
    odd.page, odd.version = page, version
    odd.spoil = lambda answer, number: SPOILERS[spoiled.get(number, 0)](answer)
    try:
        found = {entry.key: entry.etag for entry in listed(objects)}
    except StoreUnavailable:
        return
    assert found == {name: etag_of(name.encode()) for name in names}, (names, page, version, spoiled)


def test_an_endless_answer_is_read_once():
    started = time.monotonic()
    with pytest.raises(ListingIncomplete, match="does not say whether it is truncated"):
        require_told_whether_cut({"status_code": 200, "body": b"<IsTruncated>" + b" " * 10**6})
    assert time.monotonic() - started < 1
