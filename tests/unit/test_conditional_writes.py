"""The first of several writers, in S3 stores that know conditional writes and in those that do not."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

URI = "s3://bucket/mark.json"


class Dialect(BaseHTTPRequestHandler):
    """A store of one bucket in memory; `conditional` is what it makes of `If-None-Match: *`."""

    conditional = "heeded"
    objects: dict[str, bytes]
    hidden = False  # objects that another one is writing right now, which a HEAD does not see yet

    def log_message(self, *_):
        pass

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        known = self.path in self.objects and not self.hidden
        self.answer(200 if known else 404, self.objects.get(self.path, b"") if known else b"")

    def do_GET(self):
        self.answer(200, self.objects[self.path])

    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        asked = self.headers.get("If-None-Match")
        codes = {"unknown": (501, "NotImplemented"), "busy": (409, "ConditionalRequestConflict")}
        if asked and self.conditional == "heeded" and self.path in self.objects:
            return self.refuse(412, "PreconditionFailed")
        if asked and self.conditional in codes:
            return self.refuse(*codes[self.conditional])
        self.objects[self.path] = data
        return self.answer(200)

    def refuse(self, status, code):
        self.answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message/></Error>".encode())


@pytest.fixture
def speaking():
    """Starts a store of a dialect; returns its class, to look at, and an ObjectStore on it."""
    servers = []

    def start(**facts):
        dialect = type("Spoken", (Dialect,), {"objects": {}, **facts})
        server = ThreadingHTTPServer(("127.0.0.1", 0), dialect)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(
            s3_endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
            s3_access_key_id=SecretStr("key"),
            s3_secret_access_key=SecretStr("secret"),
        )
        return dialect, ObjectStore(settings)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("conditional", ["heeded", "ignored", "unknown"])
def test_an_object_is_created_once_in_any_store(speaking, conditional):
    dialect, store = speaking(conditional=conditional)
    assert store.create(URI, b"first") is True
    assert store.create(URI, b"second") is False
    assert store.read(URI) == b"first"
    assert dialect.objects == {"/bucket/mark.json": b"first"}


@pytest.mark.parametrize(
    ("conditional", "written", "read"),
    [("heeded", False, b"theirs"), ("busy", False, b"theirs"), ("ignored", True, b"ours"), ("unknown", True, b"ours")],
)
def test_who_comes_at_the_same_moment_reads_who_was_the_first(speaking, conditional, written, read):
    """Without a condition the last one stays, whom both read then."""
    dialect, store = speaking(conditional=conditional, hidden=True)
    dialect.objects["/bucket/mark.json"] = b"theirs"
    assert store.create(URI, b"ours") is written
    assert store.read(URI) == read
