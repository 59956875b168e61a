"""Requests that mean no good are refused, and the service lives on."""

import base64
import io
import socket
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import psycopg
import pytest

from integration.pictures import SCENES
from integration.service.conftest import TOKEN, as_base64

PICTURE = next(iter(SCENES.values()))
INJECTIONS = [
    "'; DROP TABLE retrieval.image; --",
    '"; DROP VIEW images.things; --',
    "%(k)s {} {view}",
    "things' OR '1'='1",
]
TRAVERSALS = ["../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", "/etc/passwd", "a/../../b", "a//b", "a\\b", ".", "a/\x00b"]


def every_route(client):
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            yield method, path.format(name="things", image_id="a")
    yield "get", "/openapi.json"


@pytest.mark.parametrize("header", [{}, {"Authorization": "wrong"}, {"Authorization": f"Bearer {TOKEN}x"}])
def test_no_route_answers_without_the_token(client, address, header):
    routes = list(every_route(client))
    assert len(routes) > 20
    for method, path in routes:
        answer = httpx.request(method, address + path, headers=header)
        assert answer.status_code == 401, (method, path)
        assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_every_field_is_only_text(client, served, text):
    def answers():
        yield client.post("/api/search", json={"collection": text, "texts": [{"text": text}]})
        yield client.post(
            "/api/search", json={"collection": "things", "texts": [{"text": text}], "filter": {text: text}}
        )
        yield client.post(
            "/api/search", json={"collection": "things", "texts": [{"text": text}], "filter": {"caption": text}}
        )
        yield client.post("/api/similar", json={"collection": "things", "image_id": text})
        yield client.post("/api/collections", json={"name": text, "id_pattern": text})
        yield client.get(f"/api/collections/{httpx.URL('', path='/' + text).raw_path.decode()[1:]}")
        params = {"after": text, "group_id": text}
        yield client.get("/api/collections/things/images", params=params)
        yield client.get("/api/collections/things/rejected", params={"reason": text})
        yield client.post("/api/collections/things/rejected/requeue", json={"reason": text, "uri": text})
        yield client.patch(
            "/api/collections/things/images/nowhere", json={"group_id": text, "attributes": {text: text}}
        )
        for name in ("get", "delete", "db_get", "db_search"):
            yield client.post(
                "/api/predict/x", json={"function_name": name, "function_params": {"database_name": text}}
            )

    for answer in answers():
        assert answer.status_code < 500, answer.text
    with psycopg.connect(served.database()) as connection:
        assert connection.execute("SELECT count(*) FROM images.things").fetchone()[0] >= len(SCENES)


@pytest.mark.parametrize("image_id", TRAVERSALS)
def test_no_id_leaves_the_collections_folder(client, image_id):
    answer = client.post("/api/collections/things/images", json={"base64": as_base64(PICTURE), "image_id": image_id})
    if image_id != TRAVERSALS[1]:  # percent signs in JSON are only letters
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    else:
        assert "/..%2F..%2Fetc%2Fpasswd" in answer.json()["image_path"]
        assert client.delete("/api/collections/things/images/..%252F..%252Fetc%252Fpasswd").status_code == 204
    for path in (f"images/{image_id}", f"pictures/{image_id}") if image_id != "." else ():  # clients drop it
        raw = httpx.URL(str(client.base_url).rstrip("/"), path=f"/api/collections/things/{path}".replace("\x00", "%00"))
        assert client.get(raw).status_code in (307, 401, 404, 405, 422, 400)


@pytest.fixture(scope="module")
def redirecting():
    """A server that sends its visitors on to loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://127.0.0.1:5432/",
        "http://localhost/",
        "file:///etc/passwd",
        "s3://image-retrieval/work/",
        "gopher://127.0.0.1/",
        "http://user:password@example.org/",
        "http://",
        "redirecting",
    ],
)
def test_a_url_reaches_no_inner_place(client, redirecting, url):
    url = redirecting if url == "redirecting" else url
    for answer in (
        client.post("/api/search", json={"collection": "things", "images": [{"url": url}]}),
        client.post("/api/collections/things/images", json={"url": url}),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["code"] in ("invalid", "invalid_url")


def raw_request(address, head, body=()):
    """Status of a request that is written by hand, and how many bytes of the body were taken."""
    host, port = address.removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=60) as stream:
        stream.sendall(
            f"POST /api/search HTTP/1.1\r\nHost: {host}\r\nAuthorization: {TOKEN}\r\n{head}\r\n\r\n".encode()
        )
        try:
            for part in body:
                stream.sendall(part)
                sent += len(part)
        except OSError:
            pass
        try:
            return int(stream.recv(100).split()[1]), sent
        except (OSError, IndexError):
            return None, sent


def test_ten_gigabytes_are_refused_before_they_come(address):
    status, _ = raw_request(address, f"Content-Type: application/json\r\nContent-Length: {10 * 2**30}")
    assert status == 413


def test_ten_gigabytes_in_chunks_are_refused_while_they_come(address):
    piece = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    status, sent = raw_request(
        address, "Content-Type: application/json\r\nTransfer-Encoding: chunked", (piece for _ in range(10_240))
    )
    assert status in (413, None)
    assert sent < 2**30


def bomb():
    """A PNG of a few KB that says it has 40,000 × 40,000 pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = (40_000).to_bytes(4, "big") * 2 + bytes((8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


MARKUP = b"<!doctype html><html><script>alert(1)</script></html>"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bomb(), "too_large"),
        (MARKUP, "unsupported_format"),
        (b"<svg onload=alert(1)>", "unsupported_format"),
        (PICTURE[:900], "truncated"),
    ],
)
def test_what_is_no_decent_picture_is_refused(client, data, code):
    asked = {"collection": "things", "images": [{"base64": base64.b64encode(data).decode()}]}
    answer = client.post("/api/search", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    markup = {"base64": base64.b64encode(data).decode(), "image_id": "<img src=x onerror=alert(1)>"}
    assert client.post("/api/collections/things/images", json=markup).status_code == 422


def test_markup_in_a_name_comes_back_as_json_only(client):
    answer = client.get("/api/collections/%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "body", [b"{", b'{"collection": "\\ud800", "texts": [{"text": "a"}]}', b"[" * 5000, b"\xff\xfe", b"null"]
)
def test_what_is_no_json_is_refused(client, body):
    answer = client.post("/api/search", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text


def test_the_service_lives_on(client, ask):
    assert ask("search", images=[{"base64": as_base64(PICTURE)}], k=1)["results"]
    assert io.BytesIO(client.get("/metrics").content).readline()
