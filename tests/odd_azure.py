"""A store that answers as Azure Blob Storage does, or as somebody in between who does not."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

TIME = "Fri, 02 Jan 2026 03:04:05 GMT"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    broken: bool = False  # half of the body arrives


def blob(data: bytes, etag: str = '"0x1"', status: int = 206, **more: str) -> Answer:
    size = f"bytes 0-{len(data) - 1}/{len(data)}"
    return Answer(status, data, {"ETag": etag, "Last-Modified": TIME, "Content-Range": size, **more})


def refusal(status: int, code: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>never-shown</Message></Error>"
    return Answer(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


def entry(name: str, etag: str = "<Etag>0x1</Etag>", size: str = "7", more: str = "") -> str:
    kept = f"<Last-Modified>{TIME}</Last-Modified>{etag}<Content-Length>{size}</Content-Length>"
    kept += "<BlobType>BlockBlob</BlobType>"
    return f"<Blob><Name>{name}</Name><Properties>{kept}</Properties>{more}</Blob>"


def listing(*entries: str, more: str = "<NextMarker />") -> Answer:
    body = f"<?xml version='1.0'?><EnumerationResults><Blobs>{''.join(entries)}</Blobs>{more}</EnumerationResults>"
    return Answer(200, body.encode(), {"Content-Type": "application/xml"})


class OddAzure(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[int], Answer] = lambda number: Answer(404)  # to the request of this number, from 1

    def handle_error(self, *given: object) -> None:
        pass  # who breaks off is heard here

    def objects(self) -> ObjectStore:
        endpoint = f"http://127.0.0.1:{self.server_port}/account"
        return ObjectStore(Settings(stores={"az": {"endpoint_url": endpoint, "account_key": "a2V5"}}))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OddAzure

    def log_message(self, *given: object) -> None:
        pass

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((f"{self.command} {self.path}", dict(self.headers)))
        answer = self.server.answer(len(self.server.asked))
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = answer.broken
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // (2 if answer.broken else 1)])

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()


@contextmanager
def odd_azure() -> Iterator[OddAzure]:
    with OddAzure() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
