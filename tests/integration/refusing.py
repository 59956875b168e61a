"""An S3 store that refuses to delete some objects: it hands all else on to the real one."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
OURS = ("content-length", "transfer-encoding", "connection", "date", "server")


@contextmanager
def refusing_store(settings: Settings, refused: set[str]) -> Iterator[Settings]:
    """The settings with a store in front of theirs that does not delete keys that end in one of `refused`.

    Of several keys in one request it deletes the others, and names those as S3 does.
    """
    endpoint, store = settings.s3_endpoint_url, ObjectStore(settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            keys = _keys(body) if self.command == "POST" and "delete" in self.path else []
            held = [key for key in keys if key.endswith(tuple(refused))]
            if held:
                bucket = self.path.strip("/").partition("?")[0]
                store.delete([f"s3://{bucket}/{key}" for key in keys if key not in held])
                told = "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in held)
                self.send(200, f"<DeleteResult>{told}</DeleteResult>".encode(), {"Content-Type": "application/xml"})
                return
            headers = dict(self.headers)
            request = urllib.request.Request(f"{endpoint}{self.path}", body or None, headers, method=self.command)
            try:
                with DIRECT.open(request) as found:
                    self.send(found.status, found.read(), dict(found.headers))
            except urllib.error.HTTPError as error:
                with error:
                    self.send(error.code, error.read(), dict(error.headers))

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in OURS:
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{server.server_port}"})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _keys(body: bytes) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(body).iter() if found.tag.endswith("Key")]
