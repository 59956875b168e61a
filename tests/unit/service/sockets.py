"""A server in a thread, and clients that write their requests by hand."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

SECONDS = 20  # that an answer may take


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[int]:
    """The port at which uvicorn serves this app."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1000)
        config = uvicorn.Config(app, **{"log_config": None, "access_log": False, "lifespan": "off", **options})
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@contextmanager
def connected(port: int, sent: bytes = b"") -> Iterator[socket.socket]:
    """A connection on which this was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as stream:
        stream.sendall(sent)
        yield stream


def until_closed(stream: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = bytearray()
    try:
        while part := stream.recv(65536):
            found += part
    except ConnectionError:  # it closed before it had read everything
        pass
    return bytes(found)


def answer(port: int, sent: bytes) -> bytes:
    """What a server that closes answers to this."""
    with connected(port) as stream:
        with suppress(ConnectionError):  # it may close before it has read everything
            stream.sendall(sent)
        return until_closed(stream)


def status(found: bytes) -> int:
    """The status of a raw answer; 0: there is none."""
    return int(found.split()[1]) if found else 0
