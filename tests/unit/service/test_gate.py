"""The right to ask is checked before anything of a body is read, and limits count the client behind a proxy."""

import select
import time
from contextlib import ExitStack

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from image_retrieval.errors import UserError
from image_retrieval.service.app import make_app
from image_retrieval.service.asking import Asker
from image_retrieval.service.clients import client_of, client_of_request, count_for, trusted_proxies
from image_retrieval.service.gate import Gate
from image_retrieval.service.standalone import app_alone, server_options
from image_retrieval.settings import Settings
from unit.service.sockets import answer, connected, serving, status, until_closed

TOKEN = "0123456789abcdef"
RIGHT = f"Authorization: {TOKEN}\r\n".encode()
SETTINGS = Settings(token=SecretStr(TOKEN), service_rate=10_000, service_concurrency=4, service_max_bytes=2**20)
ROUTES = ["/api/search", "/api/collections/demo/images", "/api/predict/x", "/", "/nowhere", "/api/collections/"]


class Mounted:
    """The service as Airflow has it: under a prefix, and under middlewares of its own."""

    def __init__(self, app):
        outer = FastAPI()
        outer.mount("/image-search", app)
        outer.add_middleware(BaseHTTPMiddleware, dispatch=self._passed_on)
        outer.add_middleware(GZipMiddleware)
        self._outer = outer

    async def _passed_on(self, request, call_next):
        return await call_next(request)

    async def __call__(self, scope, receive, send):
        path = "/image-search" + scope["path"]
        await self._outer({**scope, "path": path, "raw_path": path.encode()}, receive, send)


SOON = 5  # seconds, on however busy a machine; an unfinished body is waited for six times as long


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "mounted"])
def port(request):
    mounted = request.param and Mounted(make_app(SETTINGS, may_read=with_token, may_write=with_token))
    with serving(mounted or app_alone(SETTINGS), **server_options(SETTINGS)) as port:
        yield port


async def with_token(request):
    if request.headers.get("authorization") != TOKEN:
        raise HTTPException(401)


def head(path="/api/search", *lines, method="POST"):
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + b"".join(lines)


BODIES = [
    b"Content-Length: 32505856\r\n\r\n",
    b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"Content-Length: 1000\r\n\r\nhello",
]


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("body", BODIES)
def test_who_may_not_ask_is_refused_before_a_body_comes(port, path, body):
    started = time.monotonic()
    found = answer(port, head(path, body))
    assert status(found) == 401
    assert b"100 Continue" not in found
    assert time.monotonic() - started < 1


def test_who_may_ask_is_told_to_go_on(port):
    with connected(port, head("/api/search", RIGHT, BODIES[1])) as stream:
        assert stream.recv(100).startswith(b"HTTP/1.1 100 Continue")


@pytest.mark.parametrize("body", ["Content-Length: 2000000\r\nExpect: 100-continue\r\n\r\n"])
def test_who_sends_too_much_is_not(port, body):
    assert status(answer(port, head("/api/search", RIGHT, body.encode()))) == 413


@pytest.mark.parametrize("right", [b"", RIGHT])
@pytest.mark.parametrize("body", BODIES[2:])
def test_a_hundred_unfinished_bodies_shut_nobody_out(port, right, body):
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(port, head("/api/search", right, body)))
        for _ in range(20):
            started = time.monotonic()
            found = answer(port, head("/api/rights/write", RIGHT, b"Connection: close\r\n\r\n", method="GET"))
            assert status(found) == 204
            assert time.monotonic() - started < SOON


def test_many_large_bodies_at_once_leave_room_for_small_ones(port):
    begun = head("/api/search", RIGHT, b"Content-Length: 1000000\r\n\r\n") + bytes(900_000)
    small = head("/api/search", RIGHT, b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    with ExitStack() as stack:
        streams = [stack.enter_context(connected(port, begun)) for _ in range(12)]
        select.select(streams, [], [], SOON)
        time.sleep(0.5)
        answered = select.select(streams, [], [], 0)[0]
        assert 1 <= len(answered) <= 6
        assert {status(until_closed(stream)) for stream in answered} <= {503, 0}
        assert status(answer(port, small)) == 422


def test_slow_large_bodies_make_room_for_another(monkeypatch):
    monkeypatch.setattr("image_retrieval.service.limits.LARGE_BYTES", 2**16)
    monkeypatch.setattr("image_retrieval.service.limits.PART_SECONDS", 1)
    begun = head("/api/search", RIGHT, b"Content-Length: 1000000\r\n\r\n") + bytes(100_000)
    whole = head("/api/search", RIGHT, b"Content-Length: 500000\r\nConnection: close\r\n\r\n") + bytes(500_000)
    with serving(app_alone(SETTINGS), **server_options(SETTINGS)) as port, ExitStack() as stack:
        slow = [stack.enter_context(connected(port, begun)) for _ in range(16)]
        time.sleep(0.3)
        assert status(answer(port, whole)) in (503, 0)
        assert {status(until_closed(stream)) for stream in slow} <= {408, 0}
        assert status(answer(port, whole)) == 422


@pytest.mark.parametrize("placed", [lambda app: app, Mounted], ids=["alone", "mounted"])
def test_the_right_to_change_is_checked_before_a_body_comes(placed):
    async def may_read(_: Request) -> None: ...

    async def may_write(_: Request) -> None:
        raise HTTPException(403)

    app = make_app(SETTINGS, may_read=may_read, may_write=may_write)
    with serving(placed(app), **server_options(SETTINGS)) as port:
        changing = answer(port, head("/api/collections", BODIES[3]))
        with connected(port, head("/api/search", BODIES[3])) as searching:
            searching.settimeout(0.5)
            with pytest.raises(TimeoutError):
                searching.recv(100)
    assert status(changing) == 403


def test_a_route_without_its_gate_serves_nobody():
    async def check(_: Request) -> None: ...

    app = make_app(SETTINGS, may_read=check, may_write=check)
    app.user_middleware = [each for each in app.user_middleware if each.cls is not Gate]
    assert TestClient(app).get("/api/stats").status_code == 500


def test_a_large_body_that_finds_no_place_is_told_to_come_back():
    app = app_alone(SETTINGS)
    service = app.state.service
    body = b'{"collection": "' + b"x" * 100_000 + b'"}'
    with ExitStack() as stack:
        client = stack.enter_context(TestClient(app, base_url="http://localhost", headers={"Authorization": TOKEN}))
        taken = stack.enter_context(ExitStack())
        taken.enter_context(service._unpacking.place(Asker("other")))
        service._unpacking._most_waiting = 0
        answers = [
            client.post(path, content=body, headers={"Content-Type": "application/json"})
            for path in ("/api/search", "/api/match")
        ]
        called = client.post("/api/predict/x", content=body)
        taken.close()
        read = client.post("/api/search", content=body, headers={"Content-Type": "application/json"})
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "busy")] * 2
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert called.json()["error_code"] == 503
    assert read.status_code == 422


@pytest.mark.parametrize(("one", "other", "same"), [("anna", "anna", True), ("anna", "bert", False)])
def test_whoever_has_logged_in_is_one_client_at_any_address(one, other, same):
    def scope(user, address):
        found = {"type": "http", "client": (address, 1)}
        count_for(found, user)
        return found

    assert (client_of_request(scope(one, "10.0.0.1")) == client_of_request(scope(other, "10.0.0.2"))) is same
    assert client_of_request(scope("10.0.0.1", "10.0.0.1")) != client_of_request({"client": ("10.0.0.1", 1)})
    assert client_of_request({"client": ("::ffff:10.0.0.1", 1)}) == "10.0.0.1"


FORGED = [
    *(b"X-Forwarded-For: 203.0.113.%d\r\n" % number for number in range(1, 5)),
    b"X-Forwarded-For: 203.0.113.9, 203.0.113.10\r\n",
    b"X-Forwarded-For: 203.0.113.11\r\nX-Forwarded-For: 203.0.113.12\r\n",
    b"X-Forwarded-For: [2001:db8::1]:1234\r\n",
    b"X-Forwarded-For: fe80::1%25eth0\r\n",
    b"X-Real-IP: 203.0.113.13\r\n",
    b"Forwarded: for=203.0.113.14;proto=https\r\n",
    b'Forwarded: for="[2001:db8::2]:99"\r\n',
    b"X-Forwarded-For: 127.0.0.1\r\n",
    b"X-Forwarded-For: unknown\r\n",
    b"True-Client-IP: 203.0.113.15\r\nCF-Connecting-IP: 203.0.113.15\r\n",
]


def statuses(port, forged):
    asked = head("/api/rights/write", RIGHT, forged, b"Connection: close\r\n\r\n", method="GET")
    return status(answer(port, asked))


def limited(monkeypatch, proxies):
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxies)
    settings = SETTINGS.model_copy(update={"service_rate": 0.01})
    return serving(app_alone(settings), **server_options(settings))


def test_no_header_makes_another_client_of_one(monkeypatch):
    with limited(monkeypatch, "") as port:
        assert [statuses(port, forged) for forged in FORGED] == [204, *[429] * (len(FORGED) - 1)]


def test_behind_a_proxy_the_client_counts_that_it_names_last(monkeypatch):
    def told(*addresses):
        return [statuses(port, b"X-Forwarded-For: %s\r\n" % address) for address in addresses]

    with limited(monkeypatch, "127.0.0.0/8, 10.0.0.1") as port:
        assert told(b"203.0.113.1", b"203.0.113.2", b"203.0.113.1") == [204, 204, 429]
        assert told(b"198.51.100.1, 203.0.113.1", b"x, 203.0.113.1, 10.0.0.1", b"203.0.113.1:443") == [429] * 3
        assert told(b"::ffff:203.0.113.1", b"[::ffff:203.0.113.1]:443") == [429] * 2
        assert told(b"2001:db8::1", b"[2001:db8::2]:443", b"2001:0db8:0:0:1::%25eth0") == [204, 429, 429]
        assert told(b"2001:db8:0:1::1") == [204]
        assert told(b"unknown", b"_hidden", b"nonsense") == [204, 429, 429]


@pytest.mark.parametrize("given", ["*", "127.0.0.1, *", "0.0.0.0/0", "::/0", "localhost", "10.0.0.1:80", "1.2.3.4/33"])
def test_whom_to_trust_is_told_by_address(given):
    with pytest.raises(UserError, match="FORWARDED_ALLOW_IPS"):
        trusted_proxies(given)


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_an_ipv4_address_is_one_client_however_it_is_written(address, port):
    assert {client_of((form, port)) for form in (str(address), f"::ffff:{address}", f"[::ffff:{address}]")} == {
        str(address)
    }


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_all_of_an_ipv6_network_is_one_client(address, last):
    other = type(address)(int(address) >> 64 << 64 | last)
    if not (address.ipv4_mapped or other.ipv4_mapped):
        assert client_of((address.exploded, 1)) == client_of((f"[{other.compressed}]", 2))


@given(st.text() | st.none())
def test_what_is_no_address_is_one_client(text):
    assert client_of((text, 0)) == "" or any(sign in text for sign in ".:")
    assert client_of(None) == ""
