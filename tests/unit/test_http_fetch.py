"""URLs that a user gives are fetched from a real server here, and lead nowhere else."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.http_fetch import REDIRECTS, fetch, is_public
from image_retrieval.settings import Settings

OPEN = Settings(allow_private_urls=True, max_image_bytes=1000, url_seconds=5)
CLOSED = Settings(max_image_bytes=1000, url_seconds=5)
NAME = "pictures.example"


class Handler(BaseHTTPRequestHandler):
    """Pages of a server that may mean no good; each request's host and path are kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))
        page, _, rest = self.path.removeprefix("/").partition("?")
        getattr(self, page.partition("/")[0], self.missing)(rest)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def picture(self, _: str) -> None:
        self.answer(200, b"picture")

    def missing(self, _: str) -> None:
        self.answer(404)

    def status(self, rest: str) -> None:
        self.answer(int(rest))

    def redirect(self, rest: str) -> None:
        self.answer(302, Location=rest)

    def again(self, rest: str) -> None:
        self.answer(307, Location=f"/again?{int(rest) - 1}" if int(rest) > 1 else "/picture")

    def endless(self, _: str) -> None:
        self.answer(200, **{"Content-Length": str(10 * 2**30)})
        while True:
            self.wfile.write(b"x" * 100)

    def unsized(self, _: str) -> None:
        self.answer(200, **{"Content-Length": "2000", "Connection": "close"})
        self.wfile.write(b"x" * 2000)

    def drip(self, _: str) -> None:
        self.answer(200, **{"Content-Length": "900"})
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def slow_head(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def rubbish(self, _: str) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n")
        self.close_connection = True

    def cut(self, _: str) -> None:
        self.answer(200, **{"Content-Length": "900"})
        self.close_connection = True

    def cut_at_first(self, rest: str) -> None:
        if sum(path.startswith("/cut_at_first") for _, path in self.server.seen) <= int(rest):
            self.cut("")
        else:
            self.picture("")

    def log_message(self, *given: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str]] = []

    def handle_error(self, *given: Any) -> None:
        pass  # a client that hangs up is what is wanted


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def rejection(*arguments: Any, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        fetch(*arguments, **options)
    assert "\n" not in str(rejected.value)
    return rejected.value


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(UserError) as refused:
        fetch(*arguments, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_picture_is_fetched_where_private_addresses_are_allowed(url):
    assert fetch(f"{url}/picture", OPEN) == b"picture"


def test_path_and_query_arrive_as_they_are_or_quoted(url, server):
    fetch(f"{url}/picture/a%20b/ü c.jpg?x=1&y=%2F#part", OPEN)
    assert server.seen[0][1] == "/picture/a%20b/%C3%BC%20c.jpg?x=1&y=%2F"


def test_the_host_is_asked_for_by_its_name(url, server):
    assert fetch(f"http://{NAME}:{server.server_port}/picture", OPEN, resolve=loopback) == b"picture"
    assert server.seen == [(f"{NAME}:{server.server_port}", "/picture")]


def test_an_address_of_version_6_is_asked_for_in_brackets(server):
    url = f"http://[::1]:{server.server_port}/picture"
    assert fetch(url, OPEN, resolve=loopback) == b"picture"
    assert server.seen == [(f"[::1]:{server.server_port}", "/picture")]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1"),
        *("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fe80::1]", "[fc00::1]"),
        *(
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::1]",
        ),
        *("224.0.0.1", "255.255.255.255", "192.0.0.192", "[ff02::1]", "[fec0::1]", "[::127.0.0.1]"),
    ],
)
def test_addresses_that_are_not_public_are_refused(server, host):
    assert "has no public address" in refusal(f"http://{host}:{server.server_port}/picture", CLOSED)
    assert server.seen == []


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["2606:4700::1111", "::1"]])
def test_a_public_looking_name_may_not_resolve_to_a_private_address(server, addresses):
    told = refusal(f"http://{NAME}:{server.server_port}/", CLOSED, resolve=lambda host, port: addresses)
    assert f"host '{NAME}' has no public address" in told
    assert not any(address in told for address in addresses)
    assert "IMAGE_RETRIEVAL_ALLOW_PRIVATE_URLS" in told
    assert server.seen == []


def test_what_is_connected_to_is_the_address_that_was_looked_at(server, monkeypatch):
    asked = []

    def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

    system = socket.getaddrinfo
    names = []
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: names.append(host) or system(host, *rest, **more)
    )
    assert fetch(f"http://{NAME}:{server.server_port}/picture", OPEN, resolve=changing) == b"picture"
    assert asked == [NAME]
    assert NAME not in names  # nobody resolves the name a second time


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:{port}/picture", "//[::1]:{port}/picture", "http://169.254.169.254/latest/meta-data/"]
)
def test_a_redirect_to_a_private_address_is_refused(server, url, monkeypatch, target):
    # the server stands for a public one
    monkeypatch.setattr(
        "image_retrieval.http_fetch.is_public", lambda address: address == "127.0.0.1" or is_public(address)
    )
    assert fetch(f"{url}/redirect?{url}/picture", CLOSED) == b"picture"
    server.seen.clear()
    assert "has no public address" in refusal(f"{url}/redirect?{target.format(port=server.server_port)}", CLOSED)
    assert [path for _, path in server.seen if not path.startswith("/redirect")] == []


def test_a_redirect_leaves_what_may_be_read_no_more_than_a_url(server, url):
    settings = OPEN.model_copy(update={"allowed_sources": (url,)})
    assert fetch(f"{url}/redirect?{url}/picture", settings) == b"picture"
    elsewhere = f"http://localhost:{server.server_port}/picture"
    server.seen.clear()
    for outside in (f"{url}/redirect?{elsewhere}", elsewhere):
        assert f"'{elsewhere}' is outside what this installation may read" in refusal(outside, settings)
    assert [path for _, path in server.seen if not path.startswith("/redirect")] == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gopher://host/", "http://user:secret@host/"])
def test_a_redirect_to_another_kind_of_url_is_refused(url, target):
    told = refusal(f"{url}/redirect?{target}", OPEN)
    assert "is not accepted: give http(s)://host/path" in told
    assert "secret" not in told


def test_a_proxy_that_is_set_is_not_used_and_that_is_told(url, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(f"{url}/picture", OPEN) == b"picture"
    assert "proxies are not used" in rejection("http://127.0.0.1:9/", OPEN).detail
    assert "proxies" not in rejection(f"{url}/missing", OPEN).detail


def test_a_redirect_to_no_url_is_told(url):
    assert "redirects to 'http://[', which is not a URL" in rejection(f"{url}/redirect?http://[", OPEN).detail


@given(st.text())
def test_any_text_is_refused_or_rejected(text):
    with pytest.raises((UserError, ImageRejected)):
        fetch(f"http://{text}", CLOSED, resolve=lambda host, port: [])


def test_a_few_redirects_are_followed_and_no_more(url):
    assert fetch(f"{url}/again?{REDIRECTS}", OPEN) == b"picture"
    assert "more than 5 redirects" in rejection(f"{url}/again?{REDIRECTS + 1}", OPEN).detail


def test_a_relative_redirect_is_followed(url):
    assert fetch(f"{url}/redirect?picture", OPEN) == b"picture"


@pytest.mark.parametrize("page", ["endless", "unsized"])
def test_a_body_over_the_limit_is_given_up(url, page):
    found = rejection(f"{url}/{page}", OPEN)
    assert found.reason is Reason.TOO_LARGE
    assert "1000 bytes" in found.detail


@pytest.mark.parametrize("page", ["drip", "slow_head"])
def test_a_slow_drip_ends_with_the_time_of_the_whole(url, page):
    started = time.monotonic()
    found = rejection(f"{url}/{page}?", OPEN.model_copy(update={"url_seconds": 0.5}))
    assert time.monotonic() - started < 3
    assert (found.reason, "within 0.5 seconds" in found.detail) == (Reason.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "access_denied"), (403, "access_denied"), (404, "not_found"), (410, "not_found"), (500, "unreachable")],
)
def test_an_answer_without_picture_is_told_by_its_status(url, status, reason):
    found = rejection(f"{url}/status?{status}", OPEN)
    assert (found.reason, f"status {status}" in found.detail) == (reason, True)


@pytest.mark.parametrize("times", [1, 2])
def test_a_connection_that_breaks_is_made_again(url, times):
    assert fetch(f"{url}/cut_at_first?{times}", OPEN) == b"picture"


@pytest.mark.parametrize("page", ["rubbish", "cut"])
def test_what_is_not_http_is_told(url, page):
    assert rejection(f"{url}/{page}", OPEN).reason is Reason.UNREACHABLE


def test_nobody_there_and_unknown_names_are_told(unused_port):
    assert rejection(f"http://127.0.0.1:{unused_port}/", OPEN).reason is Reason.UNREACHABLE
    assert "is not known" in rejection("http://no-such-host.invalid/", OPEN).detail


def unknown(host, port):
    raise socket.gaierror(-2, "Name or service not known")


def test_a_refusal_does_not_tell_which_names_this_network_has():
    answers = [
        unknown,
        *(lambda host, port, found=found: found for found in ([], ["10.0.0.1"], ["::1"], ["127.0.0.1"])),
    ]
    assert len({refusal(f"http://{NAME}:81/", CLOSED, resolve=resolve) for resolve in answers}) == 1


def test_a_refusal_does_not_tell_why_a_port_is_not_reached(monkeypatch):
    def connect(error):
        def connect_tcp(*_):
            raise error

        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect_tcp)
        return rejection(f"http://{NAME}:81/", CLOSED, resolve=lambda host, port: ["93.184.215.14"]).detail

    refused = httpcore.ConnectError("[Errno 111] Connection refused")
    assert connect(refused) == connect(httpcore.ConnectTimeout("timed out"))


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_the_next_address_is_tried_where_one_does_not_answer(server):
    addresses = ["127.0.0.77", "127.0.0.1"]
    assert fetch(f"http://{NAME}:{server.server_port}/picture", OPEN, resolve=lambda *asked: addresses) == b"picture"


@pytest.mark.parametrize(
    "url", ["http://", "http:///x", "ftp://host/x", "http://[::1", "http://host:port/", "http://h:99999/"]
)
def test_what_is_no_url_is_told(url):
    assert "give http(s)://host/path" in refusal(url, OPEN)


def test_no_secret_of_a_url_is_told(url):
    found = rejection(f"{url}/missing?signature=secret", OPEN)
    assert "secret" not in str(found)
    assert "secret" not in refusal(f"{url.replace('//', '//user:secret@')}/picture", OPEN)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(1))
        .not_valid_after(today + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, private, serialization.NoEncryption()))
    return file


def test_a_certificate_must_be_of_the_name_that_was_asked_for(server, certificate, monkeypatch):
    names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, own: names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(f"https://{NAME}:{server.server_port}/picture", OPEN, resolve=loopback) == b"picture"
    assert names == [NAME]
    found = rejection(f"https://other.example:{server.server_port}/picture", OPEN, resolve=loopback)
    assert "certificate" in found.detail.lower()


@given(st.ip_addresses(v=4))
def test_an_address_of_version_4_is_judged_alike_however_it_is_wrapped(address):
    mapped, translated = (
        f"::ffff:{address}",
        str(ipaddress.IPv6Address(int(ipaddress.ip_address("64:ff9b::")) + int(address))),
    )
    assert is_public(mapped) == is_public(translated) == is_public(str(address))
    assert not (is_public(str(address)) and address.is_private)


@given(st.ip_addresses(v=6))
def test_no_private_address_of_version_6_is_public(address):
    assert not (is_public(str(address)) and (address.is_private or address.is_link_local or address.is_multicast))


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111"])
def test_public_addresses_are_public(address):
    assert is_public(address)
