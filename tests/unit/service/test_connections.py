"""What each connection must keep to, tried over sockets by clients that do not."""

import asyncio
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from image_retrieval.service.connections import LimitedConnection, Limits, limited_connection
from image_retrieval.settings import Settings
from unit.service.sockets import answer, connected, serving, status, until_closed

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UNREAD = b"GET /unread HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
LIMITS = Limits(
    **{"connections": 20, "head_bytes": 2**15, "body_bytes": 2**20},
    **{"head_seconds": 1.0, "body_seconds": 1.0, "stalled_seconds": 1.5},
)
LARGE = 30 * 2**20  # more than the system keeps of an answer that nobody reads


async def app(scope, receive, send):
    """Answers how long a body was; /unread does not read it, and takes its time; /large answers much."""
    length, more = 0, scope["path"] != "/unread"
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await asyncio.sleep(0.05 if scope["path"] == "/unread" else 0)
    body = bytes(LARGE) if scope["path"] == "/large" else b"%d" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 2**16):
        await send({"type": "http.response.body", "body": body[start : start + 2**16], "more_body": True})
    await send({"type": "http.response.body"})


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def port(request):
    pytest.importorskip(request.param)
    limited = type("Limited", (LimitedConnection,), {"limits": LIMITS})
    with serving(app, http=limited, ws="none", loop=request.param, timeout_keep_alive=1) as port:
        yield port


def test_ordinary_requests_are_served(port):
    assert status(answer(port, CLOSING)) == 200
    assert answer(port, POST + b"Content-Length: 5\r\n\r\nhello").endswith(b"5")
    assert answer(port, POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"5")
    body = bytes(2**20)
    assert answer(port, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body).endswith(b"%d" % len(body))
    assert len(answer(port, CLOSING.replace(b"/", b"/large", 1))) > LARGE


def test_a_connection_serves_request_after_request(port):
    with connected(port) as stream:
        for _ in range(3):
            stream.sendall(GET)
            found = b""
            while not found.endswith(b"\r\n\r\n0"):
                found += stream.recv(65536)
            time.sleep(0.5)
        started = time.monotonic()
        assert until_closed(stream) == b""
        assert time.monotonic() - started < 4


def test_several_requests_may_be_sent_ahead(port):
    assert answer(port, GET * 3 + CLOSING).count(b"200 OK") == 4


def test_many_requests_sent_ahead_end_the_connection(port):
    assert answer(port, GET * 10_000).count(b"200 OK") < 10_000


@pytest.mark.parametrize(
    "sent",
    [UNREAD * 10_000, UNREAD * 3 + b"no HTTP\r\n\r\n", GET * 3, GET.replace(b"/", b"/large", 1) * 2, POST + b"\r\n"],
    ids=["many ahead", "no HTTP", "three", "large", "no body"],
)
def test_a_client_that_leaves_or_is_sent_away_makes_no_error(port, sent, caplog):
    for _ in range(5):
        with connected(port, sent) as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer(port, sent + CLOSING)
    time.sleep(0.3)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 2**16, 431),
        (b"GET /" + b"a" * 2**16, 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(4000)), 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101 + b"\r\n", 400),
        (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (POST + b"Content-Length: -1\r\n\r\n", 400),
        (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
        (POST + b"Content-Length: 2097152\r\n\r\n" + bytes(2**21), 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"100000\r\n" + bytes(2**20) + b"\r\n") * 3, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3;" + b"a" * 2**18, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nTrailer: " + b"a" * 2**18, 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 200, 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2**17, 413),
        (b"\x16\x03\x01\x02\x00\x01", 400),
    ],
)
def test_what_is_too_large_or_no_http_is_refused_at_once(port, sent, expected):
    started = time.monotonic()
    assert status(answer(port, sent)) in (expected, 0)  # 0: the answer is lost where the client still sends
    assert time.monotonic() - started < 0.9


def drip(port, start, drop, pause=0.1):
    """Send a start, then drop after drop until the other side has had enough; returns its answer and the seconds."""
    started = time.monotonic()
    with connected(port, start) as stream:
        stream.settimeout(pause)
        found = b""
        while time.monotonic() - started < 10:
            try:
                stream.sendall(drop)
                part = stream.recv(65536)
                if not part:
                    break
                found += part
            except TimeoutError:
                continue
            except OSError:
                break
    return found, time.monotonic() - started


SLOW = {
    "nothing": (b"", b"", 0),
    "empty lines": (b"", b"\r\n", 0),
    "a method": (b"", b"G", 400),
    "a path": (b"GET /", b"a", 408),
    "headers": (b"GET / HTTP/1.1\r\n", b"A: b\r\n", 408),
    "a header": (b"GET / HTTP/1.1\r\nA: ", b"a", 408),
    "a body": (POST + b"Content-Length: 1000\r\n\r\n", b"a", 408),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", 408),
    "a size": (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0", 408),
    "trailers": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n", 408),
    "a body that is promised": (POST + b"Content-Length: 1000\r\n\r\n", b"", 408),
    "100-continue": (POST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", b"", 100),
    "empty lines after an answer": (GET, b"\r\n", 200),
    "a header after an answer": (GET + b"GET / HTTP/1.1\r\nA: ", b"a", 200),
    "a body that is not read": (POST.replace(b"/", b"/unread", 1) + b"Content-Length: 1000\r\n\r\n", b"a", 200),
}


def test_slow_clients_are_dropped(port):
    with ThreadPoolExecutor(len(SLOW)) as threads:
        dripped = {name: threads.submit(drip, port, start, drop) for name, (start, drop, _) in SLOW.items()}
        found = {name: each.result() for name, each in dripped.items()}
    assert {name: status(text) for name, (text, _) in found.items()} == {
        name: expected for name, (_, _, expected) in SLOW.items()
    }
    assert {name: seconds for name, (_, seconds) in found.items() if seconds > 4} == {}


@pytest.mark.parametrize("pace", [0, 100])
def test_an_answer_that_nobody_takes_is_dropped(port, pace):
    with connected(port, GET.replace(b"/", b"/large", 1)) as stream:
        end, reset = time.monotonic() + 8, 0
        while not reset and time.monotonic() < end:
            stream.recv(pace) if pace else None
            time.sleep(0.25)
            reset = stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        assert reset


def test_an_answer_that_is_taken_slowly_is_not(port):
    with connected(port, CLOSING.replace(b"/", b"/large", 1)) as stream:
        got, started = 0, time.monotonic()
        while part := stream.recv(2**18):
            got += len(part)
            time.sleep(0.02)
        assert got > LARGE
        assert time.monotonic() - started > 1.5


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nA: ", POST + b"Content-Length: 1000\r\n\r\n", GET])
def test_a_hundred_of_them_shut_nobody_out(port, start):
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(connected(port, start))
            assert status(answer(port, CLOSING)) == 200


def test_those_with_most_connections_make_room_first():
    async def made():
        first, *many = [peer(address) for address in ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2"]]
        newest = peer("10.0.0.3")
        await asyncio.sleep(0)
        return first, many, newest

    def peer(address):
        transport = Transport(address)
        connection = crowded(config, state, {})
        connection.connection_made(transport)
        return transport

    from uvicorn import Config
    from uvicorn.server import ServerState

    config, state = Config(app), ServerState()
    crowded = type("Crowded", (LimitedConnection,), {"limits": Limits(connections=4, body_bytes=1, body_seconds=1)})
    first, many, newest = asyncio.run(made())
    assert [each.aborted for each in (first, *many, newest)] == [False, True, False, False, False]


class Transport(asyncio.Transport):
    def __init__(self, address):
        super().__init__({"peername": (address, 1)})
        self.aborted = False

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True

    def get_write_buffer_size(self):
        return 0


def test_a_process_that_may_open_few_files_keeps_some(monkeypatch):
    monkeypatch.setattr("image_retrieval.service.connections.resource.getrlimit", lambda _: (256, 256))
    assert limited_connection(Settings()).limits.connections == 128
    monkeypatch.setattr("image_retrieval.service.connections.resource.getrlimit", lambda _: (10**6, 10**6))
    assert limited_connection(Settings()).limits.connections == Settings().service_connections
