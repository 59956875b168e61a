"""Limits on the number, size and speed of requests, checked before anything else, and their count for Prometheus."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_retrieval.service.asking import GONE
from image_retrieval.service.backoff import HELD_SECONDS, Backoff, SentAway
from image_retrieval.service.clients import client_of_request
from image_retrieval.service.errors import Refused, problem
from image_retrieval.service.gate import has_body, route_of
from image_retrieval.service.history import History
from image_retrieval.service.metrics import Metrics, method_label
from image_retrieval.settings import Settings

CLIENTS = 10_000  # clients whose rate is kept
BURST_SECONDS = 2  # the requests of this many seconds may come at once
AT_ONCE = 8  # all bodies in memory take at most as much as this many of the largest size
SMALL_BYTES = 2**16  # a body up to this size is always accepted
LARGE_BYTES = 2**20  # bodies from this size on take turns
LARGE_AT_ONCE = 16  # large bodies at once; above half as many, slow ones are refused
LARGE_AT_WORK = 2  # large bodies processed at once: parsing JSON or base64 blocks everything else for a moment
WORKED_PER_SECOND = 64 * 2**20  # bytes; the size of a large body sets when the next one may begin
PART_SECONDS = 5  # the longest wait for the next part of a large body
TURN_SECONDS = 0.001  # pause between parts of large bodies, so that small requests get a turn
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI app around another one: it passes a request on when all of it has arrived."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, history: History) -> None:
        self._app, self._settings, self._metrics, self._history = app, settings, metrics, history
        self._rates = Rates(settings.service_rate)
        self._bodies = Bodies(settings)
        self._backoff = Backoff(settings.service_concurrency)
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._history.begin()
        started, status = time.monotonic(), GONE
        client, route = client_of_request(scope), f"{scope['method']} {route_of(scope)}"

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in named)]
                if status < 400:
                    self._backoff.served(client)
                elif status == 503:
                    self._backoff.refused(client, route, started, _wait(message))
            await send(message)

        try:
            self._require_welcome(scope, client, route)
            async with self._bodies.whole(scope, receive) as whole:
                with self._backoff.share(client), self._place():
                    await self._app(scope, whole, count)
        except Refused as refused:
            if isinstance(refused, SentAway):
                await asyncio.sleep(HELD_SECONDS)
            await problem(refused)(scope, receive, count)
        except ClientDisconnect:
            pass
        except BaseException:
            status = 500
            raise
        finally:
            path = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(method_label(scope["method"]), path, status).inc()
            self._metrics.seconds.labels(path).observe(time.monotonic() - started)

    def _require_welcome(self, scope: Scope, client: str, route: str) -> None:
        """Raise Refused if the head alone is reason enough."""
        if not self._rates.take(client):
            message = f"this client sent more than {self._settings.service_rate:g} requests a second"
            raise Refused(429, "too_many_requests", message, wait=1)
        self._backoff.require_patient(client, route)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._settings.service_max_bytes:
            raise _too_large(self._settings)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Count the block as one of the requests in progress. Raises Refused if there are too many."""
        if self._at_work >= self._settings.service_concurrency:
            raise _busy("too many requests at once")
        self._at_work += 1
        self._metrics.at_once.set(self._at_work)
        try:
            yield
        finally:
            self._at_work -= 1
            self._metrics.at_once.set(self._at_work)


class Bodies:
    """The bodies of requests that arrive or are processed: limits each one's time and size, and the memory of all."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held, self._most = 0, AT_ONCE * settings.service_max_bytes
        self._large, self._turns = 0, asyncio.Semaphore(LARGE_AT_WORK)

    @asynccontextmanager
    async def whole(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """A `receive` that returns the whole body at once. Raises Refused or ClientDisconnect."""
        if not has_body(scope):
            yield receive
            return
        body = bytearray()
        try:
            try:
                async with asyncio.timeout(self._settings.service_seconds):
                    await self._read(body, receive)
                    if len(body) >= LARGE_BYTES:
                        await self._turns.acquire()
                        asyncio.get_running_loop().call_later(len(body) / WORKED_PER_SECOND, self._turns.release)
            except TimeoutError:
                message = f"the request did not arrive within {self._settings.service_seconds:g} s"
                raise Refused(408, "request_timeout", message) from None
            yield _again(bytes(body), receive)
        finally:
            self._held -= len(body)
            self._large -= len(body) >= LARGE_BYTES

    async def _read(self, body: bytearray, receive: Receive) -> None:
        more, started = True, time.monotonic()
        while more:
            async with asyncio.timeout(PART_SECONDS if len(body) >= LARGE_BYTES else None):
                message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part, more = message.get("body", b""), message.get("more_body", False)
            self._large += len(body) < LARGE_BYTES <= len(body) + len(part)
            body += part
            self._held += len(part)
            if len(body) > self._settings.service_max_bytes:
                raise _too_large(self._settings)
            if self._held > self._most and len(body) > SMALL_BYTES:
                raise _busy("too many large bodies arrive at once")
            if len(body) >= LARGE_BYTES:
                await self._take_turns(len(body), time.monotonic() - started)

    async def _take_turns(self, size: int, seconds: float) -> None:
        """Give other requests a turn. Raises Refused if too many large bodies arrive, or too many for one as slow."""
        too_slow = size < seconds * self._settings.service_max_bytes / self._settings.service_seconds
        if self._large > LARGE_AT_ONCE or (self._large > LARGE_AT_ONCE // 2 and too_slow):
            raise _busy("too many large bodies arrive at once")
        if self._large > 1:
            await asyncio.sleep(TURN_SECONDS * self._large)


class Rates:
    """A token bucket for each client, refilled at a rate per second."""

    def __init__(self, rate: float) -> None:
        self._rate, self._most = rate, max(1.0, rate * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> bool:
        """Whether this client may send a request now."""
        now = time.monotonic()
        left, since = self._buckets.pop(client, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return left >= 1


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body, then further messages: whether the client is still connected."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def _wait(message: Message) -> float:
    """The seconds of an answer's Retry-After."""
    return next((float(value) for name, value in message["headers"] if name.lower() == b"retry-after"), 0.0)


def _busy(message: str) -> Refused:
    return Refused(503, "busy", message, "try again in a moment", wait=1)


def _too_large(settings: Settings) -> Refused:
    return Refused(413, "content_too_large", f"a request has at most {settings.service_max_bytes} bytes")
