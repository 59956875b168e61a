"""Limits on a connection: the size of requests, and the speed of requests and answers.

uvicorn does not limit the size or the time of a request's head, the number of idle connections, or the time that an
answer takes. This is its protocol with these limits.
"""

import os
import resource
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from image_retrieval.service.clients import client_of
from image_retrieval.settings import Settings

PIECE = 2**14  # bytes that are parsed before the limits are checked
LOOK_SECONDS = 1.0  # how often a connection's times are checked
LEAST_MOVED = 2**10  # a client that reads fewer bytes of an answer between two checks is stalled


@dataclass(frozen=True)
class Limits:
    """Limits of one connection; `connections` is that of all."""

    connections: int  # open at once, all clients together
    body_bytes: int
    body_seconds: float
    head_bytes: int = 2**16
    head_seconds: float = 10
    idle_seconds: float = 30  # between an answer and the next request, unless the server allows less
    headers: int = 100
    pipelined: int = 8  # requests that wait for the answer to the one before
    stalled_seconds: float = 20  # an answer that the client does not read


class Reading(Enum):
    """The part of a request that arrives next."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class LimitedConnection(HttpToolsProtocol):
    """A connection to uvicorn that is closed if it exceeds a limit, or if newer ones need its place."""

    limits: ClassVar[Limits]

    # asyncio.Protocol

    def connection_made(self, transport: Any) -> None:
        """Begin to watch the connection, and close an older one if there are too many."""
        super().connection_made(transport)
        self._reading, self._since = Reading.NOTHING, self.loop.time()
        self._framing = self._body = 0  # bytes of the request that comes
        self._unsent, self._moved = 0, self._since  # bytes of answers, and when a client last took some
        self._network = client_of(self.client)
        self._answering: RequestResponseCycle | None = None
        self._watch = self.loop.call_later(LOOK_SECONDS, self._look)
        if len(self.connections) > self.limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching the connection."""
        self._watch.cancel()
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data piece by piece, up to a limit."""
        for start in range(0, len(data), PIECE):
            if self.transport.is_closing():
                return
            piece, before = data[start : start + PIECE], self._body
            super().data_received(piece)
            self._framing += len(piece) - max(0, self._body - before)
            self._require_small()

    def resume_writing(self) -> None:
        """The client has read the data that was buffered for it."""
        self._moved = self.loop.time()
        super().resume_writing()

    # the parser's

    def on_message_begin(self) -> None:
        """A request begins. The time of the first one counts from the start of the connection."""
        if self.cycle is not None:
            self._since = self.loop.time()
        self._reading, self._framing, self._body = Reading.HEAD, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Raise ValueError if there are too many headers; the parser answers with a 400."""
        if len(self.headers) >= self.limits.headers:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        self._reading, self._since = Reading.BODY, self.loop.time()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body has arrived."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request has arrived."""
        self._reading = Reading.NOTHING
        super().on_message_complete()

    # uvicorn's

    def on_response_complete(self) -> None:
        """An answer is complete. If its request is not, close the connection, since nobody reads the rest."""
        self._since = self.loop.time()
        if self._reading is Reading.BODY and self.cycle.response_complete:
            self.transport.close()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer data that is not HTTP, and close."""
        super().send_400_response(msg)
        self._leave()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle  # `cycle` is that of the newest request, which may wait for this one
        super()._start_asgi_task(cycle, app)

    def _should_upgrade_to_ws(self) -> bool:
        return False  # such a connection would have other limits

    # the limits

    def _require_small(self) -> None:
        """Close the connection if a request is too large, or too many are pipelined."""
        if self.transport.is_closing():
            return
        if self._reading is Reading.BODY:
            # chunks' sizes, extensions and trailers: little beside the body
            if self._body > self.limits.body_bytes or self._framing > 2 * self.limits.head_bytes + self._body // 16:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif self._framing > self.limits.head_bytes and self._reading is Reading.HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if len(self.pipeline) > self.limits.pipelined:
            self._leave()
            self.transport.close()

    def _look(self) -> None:
        """Close the connection if it is too slow; else check again in a moment."""
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent <= self._unsent - LEAST_MOVED:
            self._moved = now
        self._unsent = unsent
        if self.flow.read_paused:  # the service is slow, not the client
            self._since = now
        if now - self._moved > self.limits.stalled_seconds:
            self._cut()
        elif self._waits() and now - self._since > self._patience():
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        self._watch = self.loop.call_later(LOOK_SECONDS, self._look)

    def _patience(self) -> float:
        if self._reading is Reading.BODY:
            return self.limits.body_seconds
        idle = self._reading is Reading.NOTHING and self.cycle is not None
        return min(self.timeout_keep_alive, self.limits.idle_seconds) if idle else self.limits.head_seconds

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _waits(self) -> bool:
        """Whether the client is to send next."""
        return not self.transport.is_closing() and (self._reading is Reading.BODY or not self._is_answering())

    def _refuse(self, status: HTTPStatus) -> None:
        """Close the connection; if a request has begun and no answer has, send the status first."""
        if self._reading is not Reading.NOTHING and not (self._is_answering() and self.cycle.response_started):
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(head.encode())
        self._leave()
        self.transport.close()

    def _leave(self) -> None:
        """Discard the application's answer: uvloop fails on writes to a closed connection."""
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    def _make_room(self) -> None:
        """Close the oldest connection that waits for its client, of the client with most connections; if none, this
        one.

        The newest is let in, so a client that opens many connections shuts out only its own.
        """
        others = [each for each in self.connections if isinstance(each, LimitedConnection) and each is not self]
        held = Counter(each._network for each in others)
        waiting = [each for each in others if each._waits() or each._unsent]
        victim = min(waiting, key=lambda each: (-held[each._network], each._since), default=self)
        victim._cut()

    def _cut(self) -> None:
        """Close the connection at once, and drop unsent data, which the system would otherwise keep for the client."""
        own = self.transport.get_extra_info("socket")
        with suppress(OSError, AttributeError), socket.socket(fileno=os.dup(own.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._leave()
        self.transport.abort()


def limited_connection(settings: Settings) -> type[LimitedConnection]:
    """The uvicorn protocol with the limits of these settings."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Limits(
        connections=max(1, min(settings.service_connections, files // 2)),  # the rest is for other files
        body_bytes=settings.service_max_bytes + 2**16,  # the service refuses smaller excesses with a message of its own
        body_seconds=settings.service_seconds + 5,
    )
    return type("LimitedConnection", (LimitedConnection,), {"limits": wanted})
