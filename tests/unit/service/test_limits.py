"""Limits on how many, how large and how slow requests are."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request

from image_retrieval.service.errors import tell_errors
from image_retrieval.service.history import History
from image_retrieval.service.limits import Guard, Rates
from image_retrieval.service.metrics import Metrics
from image_retrieval.settings import Settings


def guarded(**options) -> FastAPI:
    app = FastAPI()
    tell_errors(app)

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.5)
        return "done"

    app.add_middleware(
        Guard, settings=Settings(**options), metrics=(metrics := Metrics()), history=History(metrics, list)
    )
    return app


def answers(app: FastAPI, *requests) -> list[httpx.Response]:
    """The answers to requests (method, path, content) that are sent at once."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return await asyncio.gather(
                *(client.request(method, path, content=body) for method, path, body in requests)
            )

    return asyncio.run(send())


async def pieces(count: int, pause: float = 0):
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b"x" * 1000


def test_a_request_within_its_limits_is_served():
    (answer,) = answers(guarded(), ("POST", "/length", b"x" * 5000))
    assert (answer.status_code, answer.json()) == (200, 5000)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("body", [b"x" * 1025, pieces(2)])
def test_a_request_that_is_too_large_is_refused(body):
    (answer,) = answers(guarded(service_max_bytes=1024), ("POST", "/length", body))
    assert (answer.status_code, answer.json()["code"]) == (413, "content_too_large")


def test_a_request_that_does_not_come_is_refused():
    (answer,) = answers(guarded(service_seconds=0.2), ("POST", "/length", pieces(50, pause=0.1)))
    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


def test_more_requests_at_once_than_allowed_are_sent_away():
    found = answers(guarded(service_concurrency=2), *[("GET", "/slow", None)] * 5)
    assert sorted(answer.status_code for answer in found) == [200, 200, 503, 503, 503]
    assert {answer.headers.get("retry-after") for answer in found} == {None, "1"}


def test_more_requests_a_second_than_allowed_are_sent_away():
    found = answers(guarded(service_rate=0.001), *[("POST", "/length", b"")] * 6)
    assert sorted(answer.status_code for answer in found) == [200, *[429] * 5]


def test_rates_fill_up_again_and_are_kept_apart(monkeypatch):
    now = 0.0
    monkeypatch.setattr("image_retrieval.service.limits.time.monotonic", lambda: now)
    rates = Rates(1)
    assert [rates.take("a") for _ in range(3)] == [True, True, False]
    assert rates.take("b")
    now = 1.0
    assert [rates.take("a") for _ in range(2)] == [True, False]


def test_methods_that_clients_make_up_are_one_series():
    metrics = Metrics()
    app = FastAPI()
    app.add_middleware(Guard, settings=Settings(service_rate=10_000), metrics=metrics, history=History(metrics, list))
    answers(app, *((f"MADEUP{number}", "/", b"") for number in range(20)))
    told = metrics.text().decode()
    assert "MADEUP" not in told
    assert 'method="other"' in told
