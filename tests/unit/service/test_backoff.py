"""Who comes back before Retry-After, again and again, is sent away; who waits, or is alone, never is."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from image_retrieval.service import backoff, limits
from image_retrieval.service.backoff import HEARD_SECONDS, SENT_AWAY_SECONDS, TRIES, Backoff
from image_retrieval.service.clients import count_for
from image_retrieval.service.errors import Refused, tell_errors
from image_retrieval.service.history import History
from image_retrieval.service.limits import Guard
from image_retrieval.service.metrics import Metrics
from image_retrieval.settings import Settings

ROUTE = "POST /api/search"


class Clock:
    """A time that goes on when told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(backoff, "time", found)
    return found


def asked(backing, clock, client, wait, route=ROUTE):
    """Whether a client that asks here, and is refused where it may, was sent away."""
    try:
        backing.require_patient(client, route)
    except Refused as refused:
        return refused.status == 429
    backing.refused(client, route, clock.now, wait)
    return False


def worked_on(backing, clock, pause, seconds, wait=2):
    """How many requests of a client that asks again after a pause were not sent away, beside another that is served."""
    count, end = 0, clock.now + seconds
    while clock.now < end:
        backing.served("other")
        count += not asked(backing, clock, "one", wait)
        clock.now += pause
    return count


def test_who_never_waits_costs_little(clock):
    assert worked_on(Backoff(8), clock, 0.5, 60) <= 2 * TRIES + 3 * (60 / SENT_AWAY_SECONDS)
    burst = HEARD_SECONDS / 0.01 + 3
    assert worked_on(Backoff(8), clock, 0.01, 60) <= TRIES + burst * (60 / SENT_AWAY_SECONDS)


@given(st.floats(2.01, 60), st.floats(0.1, 2))
@settings(max_examples=30)
def test_who_waits_is_never_sent_away(pause, wait):
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(backoff, "time", clock)
        assert worked_on(Backoff(8), clock, pause, 20 * pause, wait) >= 20


def test_who_has_been_sent_away_may_come_back(clock):
    backing = Backoff(8)
    worked_on(backing, clock, 0.01, 30)
    clock.now += SENT_AWAY_SECONDS
    backing.served("other")
    backing.require_patient("one", ROUTE)


def test_a_client_alone_is_never_sent_away(clock):
    backing = Backoff(8)
    for _ in range(1000):
        backing.served("one")
        assert not asked(backing, clock, "one", 5)
        clock.now += 0.01


def test_requests_that_were_under_way_do_not_count(clock):
    backing = Backoff(8)
    began = clock.now
    for _ in range(1000):
        clock.now += 0.01
        backing.refused("one", ROUTE, began, 5)
    backing.served("other")
    backing.require_patient("one", ROUTE)


def test_other_routes_and_other_clients_stay_open(clock):
    backing = Backoff(8)
    worked_on(backing, clock, 0.01, 9)
    backing.served("other")
    assert asked(backing, clock, "one", 2)
    backing.require_patient("one", "GET /api/collections")
    backing.require_patient("other", ROUTE)


def test_what_is_remembered_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(backoff, "CLIENTS", 50)
    backing = Backoff(8)
    for number in range(500):
        backing.served(str(number))
        backing.refused(str(number), ROUTE, clock.now, 2)
        with backing.share(str(number)):
            pass
    assert (len(backing._records), len(backing._served), len(backing._under_way)) == (50, 50, 0)


def busy(**options):
    """An app that refuses one path, behind its guard; a header names the user."""
    app = FastAPI()
    tell_errors(app)
    worked = []

    @app.get("/busy")
    async def refuse() -> None:
        worked.append(1)
        raise Refused(503, "busy", "too many", wait=2)

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "done"

    app.add_middleware(
        Guard,
        settings=Settings(service_rate=10_000, **options),
        metrics=(metrics := Metrics()),
        history=History(metrics, list),
    )

    async def named(scope, receive, send):
        if scope["type"] == "http":
            count_for(scope, dict(scope["headers"])[b"user"].decode())
        await app(scope, receive, send)

    return named, worked


def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service")


def test_who_is_sent_away_is_not_worked_on(monkeypatch):
    monkeypatch.setattr(backoff, "HEARD_SECONDS", 0.0)
    monkeypatch.setattr(limits, "HELD_SECONDS", 0.01)
    app, worked = busy()

    async def talk():
        async with client_of(app) as client:
            await client.get("/slow", headers={"user": "other"})
            answers = []
            for _ in range(30):
                answers.append(await client.get("/busy", headers={"user": "one"}))
                await asyncio.sleep(0.02)
            return answers

    answers = asyncio.run(talk())
    statuses = [answer.status_code for answer in answers]
    assert statuses == [503] * len(worked) + [429] * (30 - len(worked))
    assert 1 <= len(worked) <= TRIES + 3
    assert answers[-1].json()["code"] == "too_many_requests"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= SENT_AWAY_SECONDS
    assert answers[-1].headers["connection"] == "close"


def test_one_user_has_half_of_the_places_while_others_ask():
    app, _ = busy(service_concurrency=8)

    async def talk(others):
        async with client_of(app) as client:
            if others:
                await client.get("/slow", headers={"user": "other"})
            sent = [client.get("/slow", headers={"user": "one"}) for _ in range(20)]
            return [answer.status_code for answer in await asyncio.gather(*sent)]

    assert asyncio.run(talk(others=False)).count(200) == 8
    assert asyncio.run(talk(others=True)).count(200) == 4


def test_who_is_sent_away_is_answered_late_and_others_meanwhile(monkeypatch):
    monkeypatch.setattr(backoff, "HEARD_SECONDS", 0.0)
    monkeypatch.setattr(limits, "HELD_SECONDS", 1.0)
    app, worked = busy()

    async def talk():
        async with client_of(app) as client:
            await client.get("/slow", headers={"user": "other"})
            while (await client.get("/busy", headers={"user": "one"})).status_code == 503:
                await asyncio.sleep(0.02)
            held = asyncio.ensure_future(client.get("/busy", headers={"user": "one"}))
            await client.get("/slow", headers={"user": "other"})
            before = held.done()
            return before, (await held).status_code

    assert asyncio.run(talk()) == (False, 429)
    assert 1 <= len(worked) <= TRIES + 3
