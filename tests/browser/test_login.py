"""What costs before the login, where the service stands in Airflow, over sockets."""

import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest
from unit.service.sockets import answer, connected, status, until_closed

from browser.routes import ROUTES, at
from orchestration.search import TOKEN_SECONDS

UNFINISHED = {
    "length": b"Content-Length: 32505856\r\n\r\n{",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "expect": b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
}


@pytest.fixture(scope="module")
def port(base):
    return urlsplit(base).port


def head(method, path, *lines):
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + b"".join(lines)


@pytest.mark.parametrize("right", [b"", b"Authorization: Bearer nonsense\r\n", b"Cookie: _token=nonsense\r\n"])
@pytest.mark.parametrize("body", UNFINISHED.values(), ids=UNFINISHED)
def test_no_body_is_awaited_of_who_may_not_ask(port, body, right):
    for method, path in ROUTES:
        if method != "GET":
            found = answer(port, head(method, at(path), right, body))
            assert status(found) in (401, 403), (method, path)
            assert b"100 Continue" not in found


@pytest.mark.parametrize("body", UNFINISHED.values(), ids=UNFINISHED)
def test_no_body_is_awaited_of_who_may_not_change(port, token_of, body):
    right = f"Authorization: Bearer {token_of('viewer')}\r\n".encode()
    found = answer(port, head("POST", "/image-search/api/collections/demo/images", right, body))
    assert status(found) == 403


HOSTILE = {
    "bodies": head("POST", "/image-search/api/search", UNFINISHED["length"]),
    "bodies for Airflow": head("POST", "/auth/token", b"Content-Type: application/json\r\n", UNFINISHED["length"]),
    "heads": head("GET", "/image-search/api/stats", b"A: "),
    "nothing": b"",
}


@pytest.mark.parametrize("begun", HOSTILE.values(), ids=HOSTILE)
def test_two_hundred_of_them_shut_no_viewer_out(port, client_of, begun):
    with client_of("viewer") as viewer, ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(port, begun))
        time.sleep(3)  # what is refused is refused
        for path in ("/api/collections", "/page/main.js"):
            started = time.monotonic()
            assert viewer.get(path).status_code == 200
            assert time.monotonic() - started < 3


def test_a_head_that_does_not_come_is_not_awaited(port):
    started = time.monotonic()
    with connected(port, head("GET", "/image-search/api/stats", b"A: ")) as stream:
        assert status(until_closed(stream)) == 408
    assert time.monotonic() - started < 15


def test_a_head_without_end_is_refused(port):
    assert status(answer(port, head("GET", "/", b"A: " + b"a" * 2**17))) in (431, 0)


def test_a_token_that_is_revoked_is_soon_refused(base, token_of):
    right = {"Authorization": f"Bearer {token_of.__wrapped__('viewer')}"}

    def asked():
        return httpx.get(f"{base}/image-search/api/collections", headers=right, timeout=60).status_code

    assert asked() == 200
    httpx.get(f"{base}/api/v2/auth/logout", headers=right, timeout=60)
    time.sleep(TOKEN_SECONDS)
    assert asked() in (401, 403)
