"""A web server on loopback that fails, redirects, stalls and lies: what each path does is its first part."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STALL = 1.5  # seconds
WRONG = {"missing": 404, "gone": 410, "private": 403, "broken": 500, "busy": 429}
# kinds that end as an image, and those that end with a reason
GOOD = ("etag", "modified", "plain", "moved", "typeless", "get_only", "unsized", "timeless", "sized")
BAD = {
    "missing": "not_found",
    "gone": "not_found",
    "private": "access_denied",
    "broken": "unreachable",
    "busy": "unreachable",
    "circle": "unreachable",
    "stalls": "unreachable",
    "stalls_later": "unreachable",
    "cut": "unreachable",
    "page": "unsupported_format",
    "empty": "empty_file",
    "restless": "changed_while_reading",
    "shorter": "changed_while_reading",
}


class Handler(BaseHTTPRequestHandler):
    server: "OddWeb"

    def do_HEAD(self) -> None:
        self.answer("HEAD")

    def do_GET(self) -> None:
        self.answer("GET")

    def answer(self, method: str) -> None:
        path = self.path.removeprefix("/")
        kind = path.partition("/")[0]
        self.server.asked[method, path] += 1
        if kind in WRONG:
            return self.send(WRONG[kind])
        if kind == "get_only" and method == "HEAD":
            return self.send(405)
        if kind in ("moved", "circle"):
            return self.send(302, Location=f"/{path.replace('moved', 'etag')}")
        if kind == "stalls" or (kind == "stalls_later" and method == "GET"):
            time.sleep(STALL)
            return self.send(200)
        body = self.server.body_of(path)
        told = {"ETag": f'"{self.server.versions[path]}"', "Content-Type": "image/png"}
        if kind == "modified":
            told = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        elif kind == "plain":
            told = {}
        elif kind == "timeless":
            told["Last-Modified"] = "Mon, 01 Jan 99999999999 00:00:00 GMT"
        elif kind == "sized":
            told["ETag"] = '"size:x"'
        elif kind == "typeless":
            told["Content-Type"] = "text/html"
        elif kind == "page":
            body = b"<html>This is no picture.</html>"
        elif kind == "empty":
            body = b""
        elif kind == "restless":
            self.server.versions[path] += 1
        length = len(body) + (kind == "cut") + (kind == "shorter" and method == "HEAD")
        told |= {} if kind == "unsized" else {"Content-Length": str(length)}
        return self.send(200, body if method == "GET" else b"", **told)

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the client hung up

    def log_message(self, *given: Any) -> None:
        pass


class OddWeb(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pictures: list[bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pictures = pictures
        self.asked: Counter[tuple[str, str]] = Counter()
        self.versions: Counter[str] = Counter()

    def body_of(self, path: str) -> bytes:
        number = int(path.rpartition("/")[2].partition(".")[0])
        return self.pictures[(number + self.versions[path]) % len(self.pictures)]

    def url(self, kind: str, number: int) -> str:
        return f"http://127.0.0.1:{self.server_port}/{kind}/{number}.png"

    def handle_error(self, *given: Any) -> None:
        pass


@contextmanager
def odd_web(pictures: list[bytes]) -> Iterator[OddWeb]:
    with OddWeb(pictures) as started:
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield started
        finally:
            started.shutdown()
            thread.join()
