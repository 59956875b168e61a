"""What every request passes first: limits on how many, how large and how slow, and a count for Prometheus."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_retrieval.service.clients import client_of
from image_retrieval.service.errors import Refused, problem
from image_retrieval.service.gate import has_body
from image_retrieval.service.metrics import Metrics, method_label
from image_retrieval.settings import Settings

CLIENTS = 10_000  # whose rates are remembered
BURST_SECONDS = 2  # of the rate may come at once
AT_ONCE = 8  # bodies of the largest size, of which the memory holds so many; others are small, or wait
SMALL_BYTES = 2**16  # a body up to this size is always taken
LARGE_BYTES = 2**20  # bodies from this size on take turns
LARGE_AT_ONCE = 16  # of those may come; with half as many, the slow ones make room
LARGE_AT_WORK = 2  # of those begin at once: reading one as JSON, or its base64, stops all else for a moment
WORKED_PER_SECOND = 64 * 2**20  # bytes of a large body, until the next one may begin
PART_SECONDS = 5  # until the next part of a large body
TURN_SECONDS = 0.001  # between parts of large bodies, for what is small to get in between
GONE = 499  # of a client that went away, for the count
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI app around another one, which gets a request when all of it is here."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._rates = Rates(settings.service_rate)
        self._bodies = Bodies(settings)
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), GONE

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in named)]
            await send(message)

        try:
            self._require_welcome(scope)
            async with self._bodies.whole(scope, receive) as whole:
                with self._place():
                    await self._app(scope, whole, count)
        except Refused as refused:
            await problem(refused)(scope, receive, count)
        except ClientDisconnect:
            pass
        except BaseException:
            status = 500
            raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(method_label(scope["method"]), route, status).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - started)

    def _require_welcome(self, scope: Scope) -> None:
        """Raise Refused for what can be refused by its head."""
        if not self._rates.take(client_of(scope.get("client"))):
            told = f"more than {self._settings.service_rate:g} requests a second"
            raise Refused(429, "too_many_requests", told, wait=1)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._settings.service_max_bytes:
            raise _too_large(self._settings)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the requests that are worked on at once. Raises Refused where all places are taken."""
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
    """The bodies of requests that come and are worked on: each within its time and size, all within a memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held, self._most = 0, AT_ONCE * settings.service_max_bytes
        self._large, self._turns = 0, asyncio.Semaphore(LARGE_AT_WORK)

    @asynccontextmanager
    async def whole(self, scope: Scope, receive: Receive) -> AsyncIterator[Receive]:
        """A `receive` that gives the whole body at once. Raises Refused, or ClientDisconnect."""
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
                told = f"the request was not here within {self._settings.service_seconds:g} s"
                raise Refused(408, "request_timeout", told) from None
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
                raise _busy("too much is sent at once")
            if len(body) >= LARGE_BYTES:
                await self._take_turns(len(body), time.monotonic() - started)

    async def _take_turns(self, size: int, seconds: float) -> None:
        """Let others go on. Raises Refused for a large body where too many come, or too many for one so slow."""
        too_slow = size < seconds * self._settings.service_max_bytes / self._settings.service_seconds
        if self._large > LARGE_AT_ONCE or (self._large > LARGE_AT_ONCE // 2 and too_slow):
            raise _busy("too much is sent at once")
        if self._large > 1:
            await asyncio.sleep(TURN_SECONDS * self._large)


class Rates:
    """A bucket of tokens for each client, filled at a rate a second."""

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
    """What has been received, then what comes: whether the client is still there."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


def _busy(told: str) -> Refused:
    return Refused(503, "busy", told, "try again in a moment", wait=1)


def _too_large(settings: Settings) -> Refused:
    return Refused(413, "content_too_large", f"a request has at most {settings.service_max_bytes} bytes")
