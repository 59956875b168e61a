"""An S3 store that refuses to delete some objects: it hands all else on to the real one."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree import ElementTree

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def refusing_store(endpoint: str, refused: set[str]) -> Iterator[str]:
    """The address of a store in front of the one at `endpoint`; it refuses to delete keys that end in one of `refused`.

    Of a request that names such a key it deletes nothing, and names what it refused, as S3 does.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            keys = _keys(body) if self.command == "POST" and "delete" in self.path else []
            held = [key for key in keys if key.endswith(tuple(refused))]
            if held:
                told = "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in held)
                self._send(200, f"<DeleteResult>{told}</DeleteResult>".encode(), {"Content-Type": "application/xml"})
                return
            request = urllib.request.Request(
                endpoint + self.path, body or None, dict(self.headers), method=self.command
            )
            try:
                with DIRECT.open(request) as found:
                    self._send(found.status, found.read(), dict(found.headers))
            except urllib.error.HTTPError as error:
                with error:
                    self._send(error.code, error.read(), dict(error.headers))

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", str(len(body))) if self.command == "HEAD" else str(len(body))
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
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _keys(body: bytes) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(body).iter() if found.tag.endswith("Key")]
