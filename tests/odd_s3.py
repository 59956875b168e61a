"""A store that speaks as much of S3 as listings, reads and writes need, in the dialects of stores there are.

It can be told to refuse objects, to break off, and to answer listings wrongly. Keys are not checked; one bucket,
`bucket`, by path or, if the store is told so, by host alone; objects live in memory.
"""

import base64
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from image_retrieval.settings import Settings

XML = "<?xml version='1.0' encoding='UTF-8'?>"


@dataclass
class Listing:
    """An answer to a listing before it is written."""

    keys: list[str]
    cut: str  # "true" or "false", unless somebody makes it worse
    token: str | None
    etags: bool = True
    more: str = ""  # XML beside it
    written: Callable[[bytes], bytes] = field(default=lambda body: body)


class OddStore(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Become a store that does all as it should, and holds nothing."""
        self.objects: dict[str, bytes] = {}
        self.page = 1000
        self.version = 2  # 1: no tokens
        self.ignored: set[str] = set()  # parameters of listings
        self.encodes = True
        self.tells_encoding = True  # also where version 1 is asked for
        self.spoil: Callable[[Listing, int], None] = lambda answer, number: None
        # what a read (its key, its number from 1) or a write is refused with: status and code
        self.refuse: Callable[[str, int], tuple[int, str] | None] = lambda key, number: None
        # how a body breaks in its middle: "closed", "reset" or "hangs"
        self.breaks: Callable[[str, int], str | None] = lambda key, number: None
        # what is answered in place of an object: a body, and an ETag or none
        self.instead: Callable[[str], tuple[bytes, str | None] | None] = lambda key: None
        self.refuse_write: Callable[[str, int], tuple[int, str] | None] = lambda key, number: None
        self.refuse_delete: dict[str, str] = {}
        self.virtual = False  # refuse requests whose host does not begin with the bucket
        self.wants_md5 = False  # refuse lists of objects to delete without Content-MD5
        self.refuse_listing: tuple[int, str] | None = None
        self.reads = self.writes = self.listings = 0
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []  # of each request, by their names in small letters

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def settings(self, **more: Any) -> Settings:
        given = {"s3_endpoint_url": self.url, "s3_access_key_id": "key", "s3_secret_access_key": "secret", **more}
        return Settings(**given)

    def handle_error(self, *given: Any) -> None:
        pass  # who breaks off is heard here


@contextmanager
def odd_store() -> Iterator[OddStore]:
    with OddStore() as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()


def etag_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OddStore
    disable_nagle_algorithm = True

    def log_message(self, *given: Any) -> None:
        pass

    def _path(self) -> str:
        path = urlsplit(self.path).path
        return f"/bucket{path}" if self.server.virtual else path

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.server.virtual and not self.headers["Host"].startswith("bucket."):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._error(403, "SecondLevelDomainForbidden")
            return False
        return True

    def _key(self) -> str:
        path = unquote(self._path(), errors="surrogateescape")
        return path.removeprefix("/bucket").removeprefix("/")

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self._answer(status, f"{XML}<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked.append(f"{self.command} {self.path}")
        if self._path().rstrip("/") == "/bucket":
            self._list({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})
        else:
            self._read(self._key())

    def do_PUT(self) -> None:
        key, data = self._key(), self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.writes += 1
            number = self.server.writes
        if refused := self.server.refuse_write(key, number):
            if refused[1] == "closed":
                self.connection.close()
                self.close_connection = True
                return
            self._error(*refused)
            return
        self.server.objects[key] = data
        self._answer(200, ETag=f'"{etag_of(data)}"')

    def do_DELETE(self) -> None:
        if code := self.server.refuse_delete.get(self._key()):
            self._error(404 if code == "NoSuchKey" else 403, code)
            return
        self.server.objects.pop(self._key(), None)
        self._answer(204)

    def do_POST(self) -> None:
        import xml.etree.ElementTree as ElementTree

        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if self.server.wants_md5 and self.headers.get("Content-MD5") != digest:
            self._error(400, "MissingContentMD5")
            return
        tree = ElementTree.fromstring(body)
        keys = [str(entry.text) for entry in tree.iter() if entry.tag.endswith("Key")]
        told = ""
        for key in keys:
            if code := self.server.refuse_delete.get(key):
                told += f"<Error><Key>{escape(key)}</Key><Code>{code}</Code></Error>"
            else:
                self.server.objects.pop(key, None)
        self._answer(200, f"{XML}<DeleteResult>{told}</DeleteResult>".encode())

    def _list(self, query: dict[str, str]) -> None:
        store = self.server
        if store.refuse_listing:
            self._error(*store.refuse_listing)
            return
        query = {name: value for name, value in query.items() if name not in store.ignored}
        prefix, second = query.get("prefix", ""), query.get("list-type") == "2" and store.version == 2
        names = ("continuation-token", "start-after") if second else ("marker",)
        after = next((query[name] for name in names if name in query), "")
        keys = sorted(key for key in store.objects if key.startswith(prefix) and key > after)
        size = min(store.page, int(query.get("max-keys", store.page)))
        page, rest = keys[:size], keys[size:]
        answer = Listing(page, "true" if rest else "false", page[-1] if rest and second else None)
        with store.lock:
            store.listings += 1
            number = store.listings
        store.spoil(answer, number)
        encoded = store.encodes and query.get("encoding-type") == "url"
        body = answer.written(self._written(answer, encoded, second).encode())
        if query.get("list-type") != "2" and not store.tells_encoding:
            body = body.replace(b"<EncodingType>url</EncodingType>", b"")
        self._answer(200, body)

    def _written(self, answer: Listing, encoded: bool, second: bool) -> str:
        rows = ""
        for key in answer.keys:
            data = self.server.objects.get(key, b"")
            name = quote(key, safe="/", errors="surrogateescape") if encoded else escape(key)
            etag = f"<ETag>&quot;{etag_of(data)}&quot;</ETag>" if answer.etags else ""
            rows += f"<Contents><Key>{name}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>{etag}"
            rows += f"<Size>{len(data)}</Size></Contents>"
        told = f"<IsTruncated>{answer.cut}</IsTruncated>" if answer.cut else ""
        told += "<EncodingType>url</EncodingType>" if encoded else ""
        told += f"<KeyCount>{len(answer.keys)}</KeyCount>" if second and "KeyCount" not in answer.more else ""
        token = escape(answer.token or "", {"\r": "&#13;"})  # a parser reads a plain one as a line's end
        told += f"<NextContinuationToken>{token}</NextContinuationToken>" if answer.token else ""
        return f"{XML}<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{told}{answer.more}{rows}</ListBucketResult>"

    def _read(self, key: str) -> None:
        store = self.server
        with store.lock:
            store.reads += self.command == "GET"
            number = store.reads
        if refused := store.refuse(key, number):
            self._error(*refused)
            return
        if self.command == "GET" and (other := store.instead(key)):
            self._answer(200, other[0], **({"ETag": f'"{other[1]}"'} if other[1] else {}))
            return
        if key not in store.objects:
            self._error(404, "NoSuchKey")
            return
        data = store.objects[key]
        headers = {"ETag": f'"{etag_of(data)}"', "Last_Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
        if "if-match" not in store.ignored and self.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
            self._error(412, "PreconditionFailed")
            return
        status, size = 200, len(data)
        asked = self.headers.get("Range")
        if asked and "range" not in store.ignored:
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            status, data = 206, data[first : last + 1]
            headers["Content_Range"] = f"bytes {first}-{last}/{size}"
        broken = store.breaks(key, number) if self.command == "GET" else None
        if broken is None:
            self._answer(status, data, **headers)
            return
        self._answer(status, data[: len(data) // 2], **headers, Content_Length=str(len(data)))
        self.wfile.flush()
        if broken == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif broken == "closed":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif broken == "hangs":
            time.sleep(1)
        self.close_connection = True
