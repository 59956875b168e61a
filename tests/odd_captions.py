"""An OpenAI-compatible server on loopback that captions pictures by their colour, and misbehaves as it is told."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Reply = tuple[int, bytes]


def said(content: Any, **more: Any) -> Reply:
    """A server's answer with a text, and other keys of the choice or of `usage`."""
    choice = {"message": {"content": content}, "finish_reason": more.pop("finish_reason", "stop")}
    return 200, json.dumps({"choices": [choice], "usage": {"total_tokens": more.pop("tokens", 100)}}).encode()


def good(grey: int) -> Reply:
    return said(json.dumps({"en": f"grey {grey}", "zh": f"灰 {grey}"}, ensure_ascii=False))


class OddCaptions(ThreadingHTTPServer):
    """`reply` makes the answer for a picture of an even grey, and how often it was asked about it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply: Callable[[int, int], Reply] = lambda grey, times: good(grey)
        self.asked: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: OddCaptions

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        picture = body["messages"][0]["content"][0]["image_url"]["url"].partition("base64,")[2]
        grey = round(Image.open(io.BytesIO(base64.b64decode(picture))).convert("L").getpixel((0, 0)))
        with self.server.lock:
            self.server.asked.append(grey)
            self.server.bodies.append(body)
            self.server.keys.add(self.headers["Authorization"])
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            times = self.server.asked.count(grey)
        status, answer = self.server.reply(grey, times)
        with self.server.lock:
            self.server.at_once -= 1
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except OSError:  # the client has given up
            return

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def odd_captions() -> Iterator[OddCaptions]:
    with OddCaptions() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def stall(seconds: float) -> Reply:
    time.sleep(seconds)
    return good(0)
