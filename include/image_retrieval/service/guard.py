"""What every request passes first: limits on how many, how large and how slow, and a count for Prometheus."""

import asyncio
import time
from collections import OrderedDict

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from image_retrieval.service.errors import Refused, problem
from image_retrieval.service.metrics import Metrics
from image_retrieval.settings import Settings

CLIENTS = 10_000  # whose rates are remembered
BURST_SECONDS = 2  # of the rate may come at once
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """An ASGI app around another one."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._rates = Rates(settings.service_rate)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in named)]
            await send(message)

        self._under_way += 1
        self._metrics.at_once.set(self._under_way)
        try:
            refused = self._refusal(scope)
            if refused is not None:
                await problem(refused)(scope, receive, count)
            else:
                await self._app(scope, _limited(receive, self._settings), count)
        finally:
            self._under_way -= 1
            self._metrics.at_once.set(self._under_way)
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(scope["method"], route, status).inc()
            self._metrics.seconds.labels(route).observe(time.monotonic() - started)

    def _refusal(self, scope: Scope) -> Refused | None:
        client = (scope.get("client") or ("",))[0]
        if not self._rates.take(client):
            return Refused(
                429, "too_many_requests", f"more than {self._settings.service_rate:g} requests a second", wait=1
            )
        if self._under_way > self._settings.service_concurrency:
            return Refused(503, "busy", "too many requests at once", "try again in a moment", wait=1)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length[:20]) > self._settings.service_max_bytes:
            return _too_large(self._settings)
        return None


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


def _limited(receive: Receive, settings: Settings) -> Receive:
    """The same body, which ends in an error where it is larger than it may be, or takes too long to come."""
    read, deadline, whole = 0, time.monotonic() + settings.service_seconds, False

    async def limited() -> Message:
        nonlocal read, whole
        if whole:  # what comes now is only whether the client is still there
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise HTTPException(408, f"the request was not here within {settings.service_seconds:g} s") from None
        read += len(message.get("body", b""))
        if read > settings.service_max_bytes:
            raise HTTPException(413, _too_large(settings).detail)
        whole = not message.get("more_body", False)
        return message

    return limited


def _too_large(settings: Settings) -> Refused:
    return Refused(413, "content_too_large", f"a request has at most {settings.service_max_bytes} bytes")
