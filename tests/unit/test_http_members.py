"""Versions of images behind URLs, and how often a host is asked."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_web import odd_web

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.http_members import NONE, ask_url, fetch_version
from image_retrieval.settings import Settings

OPEN = Settings(allow_private_urls=True, url_seconds=1, url_rate=10_000)
PICTURES = [b"first", b"second"]


@pytest.fixture(scope="module")
def web():
    with odd_web(PICTURES) as started:
        yield started


@pytest.mark.parametrize(
    ("kind", "version", "size"),
    [
        ("etag", "0", 5),
        ("moved", "0", 5),
        ("get_only", "0", 5),
        ("unsized", "0", 0),
        ("modified", "modified:Thu, 01 Jan 2026 00:00:00 GMT", 5),
        ("plain", "size:5", 5),
        ("timeless", "0", 5),
        ("sized", "size:x", 5),
    ],
)
def test_what_is_told_is_what_is_read(web, kind, version, size):
    told = ask_url(web.url(kind, 0), OPEN)
    assert (told.version, told.size) == (version, size)
    assert fetch_version(web.url(kind, 0), told.version, told.size, OPEN) == b"first"


@given(version=st.text(st.characters(exclude_characters="0"), max_size=9))
def test_another_version_is_never_read(web, version):
    if version in ("", NONE):
        assert fetch_version(web.url("etag", 0), version, 0, OPEN) == b"first"
        return
    with pytest.raises(ImageRejected) as rejected:
        fetch_version(web.url("etag", 0), version, 0, OPEN)
    assert rejected.value.reason is Reason.CHANGED_WHILE_READING


def test_a_host_is_asked_at_its_rate(web):
    started = time.monotonic()
    for number in range(5):
        ask_url(web.url("etag", 2 * number), OPEN.model_copy(update={"url_rate": 10.0}))
    assert time.monotonic() - started >= 0.4


def test_waiting_for_a_hosts_turn_is_not_the_hosts_fault(web):
    slow = OPEN.model_copy(update={"url_seconds": 0.5, "url_rate": 1.25})
    with ThreadPoolExecutor(3) as threads:
        told = list(threads.map(lambda _: ask_url(web.url("etag", 1), slow), range(3)))
    assert {found.version for found in told} == {"0"}
