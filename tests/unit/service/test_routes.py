"""Every route of the service × role × form of a request: who may not ask is refused before anything is said of it.

Routes are those of the application itself, so that a new one is among them.
"""

import base64
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import SecretStr

from image_retrieval.service.app import make_app
from image_retrieval.service.errors import Refused
from image_retrieval.service.routes.page import PATHS
from image_retrieval.service.standalone import app_alone
from image_retrieval.settings import Settings

TOKEN = "a-token-of-the-tests-only"
# no database: whoever were let in would get another answer than a refusal of the right
SETTINGS = Settings(token=SecretStr(TOKEN), service_rate=100_000, database_url=SecretStr("postgresql://127.0.0.1:1/x"))
READING = {
    f"/api/{name}" for name in ("search", "similar", "match", "facets", "timeline", "export")
}  # posted, and nothing is changed

# what is sent, by name: headers and body
JSON = {"Content-Type": "application/json"}
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--'
FORMS = {
    "nothing": ({}, b""),
    "json": (JSON, b'{"name": "mine", "base64": "AA==", "attributes": {}}'),
    "empty json": (JSON, b"{}"),
    "form": ({"Content-Type": "application/x-www-form-urlencoded"}, b"name=mine&function_name=delete"),
    "multipart": ({"Content-Type": "multipart/form-data; boundary=x"}, PART),
    "text": ({"Content-Type": "text/plain"}, b'{"function_name": "list"}'),
    "no such type": ({"Content-Type": "a/b; c"}, b"{}"),
    "older protocol": (JSON, b'{"function_name": "add", "function_params": {"database_name": "mine"}}'),
    "other method": (JSON | {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/page/main.js"}, b"{}"),
}
BROKEN = {
    "broken json": (JSON, b"{"),
    "no text": (JSON, b"\xff\xfe"),
    "deep": (JSON, b"[" * 5000),
    "zipped": (JSON | {"Content-Encoding": "gzip"}, b"\x1f\x8b"),
}
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "NOSUCH")
WRONG = {
    "none": {},
    "empty": {"Authorization": ""},
    "wrong": {"Authorization": "Bearer wrong"},
    "longer": {"Authorization": f"{TOKEN}x"},
    "shorter": {"Authorization": TOKEN[:-1]},
    "twice": {"Authorization": f"{TOKEN}, {TOKEN}"},
    "basic": {"Authorization": "Basic " + base64.b64encode(f"user:{TOKEN}".encode()).decode()},
    "cookie": {"Cookie": f"_token={TOKEN}; Authorization={TOKEN}"},
    "other header": {"X-Api-Key": TOKEN, "Proxy-Authorization": f"Bearer {TOKEN}"},
}


def of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of each route."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield method, route.path


def at(path: str) -> str:
    return path.replace("{image_id:id}", "a/b").replace("{name}", "things")


ALONE = app_alone(SETTINGS)
ROUTES = sorted(of(ALONE))
CLOSED = sorted({at(path) for _, path in ROUTES} - PATHS)


def is_change(method: str, path: str) -> bool:
    return (method != "GET" and path not in READING) or path == "/api/rights/write"


def test_there_are_routes_of_each_kind():
    assert len(CLOSED) > 20
    assert {method for method, _ in ROUTES} == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    assert "/api/predict/things" in CLOSED
    assert "/openapi.json" in CLOSED


@pytest.fixture(scope="module")
def alone():
    return TestClient(ALONE, base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.mark.parametrize(
    "role",
    [role if role in ("none", "wrong", "cookie") else pytest.param(role, marks=pytest.mark.slow) for role in WRONG],
)
def test_who_has_no_token_learns_nothing_by_any_method(alone, role):
    for path in [*CLOSED, "/nowhere", "/api/", "/docs", "/redoc", "/page/", "/page/..%2Fmetrics"]:
        for method in METHODS:
            answer = alone.request(method, path, headers=WRONG[role], params={"token": TOKEN, "limit": "none"})
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert method == "HEAD" or answer.json()["code"] == "unauthorized"
            assert not {name for name in answer.headers if name.startswith("access-control") or name == "allow"}


@pytest.mark.parametrize("form", FORMS | BROKEN)
def test_who_has_no_token_learns_nothing_by_any_body(alone, form):
    headers, body = (FORMS | BROKEN)[form]
    for method, path in ROUTES:
        if at(path) in CLOSED:
            answer = alone.request(method, at(path), headers=headers | WRONG["wrong"], content=body)
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)


def test_only_the_page_itself_is_open(alone):
    for path in PATHS:
        assert alone.get(path).status_code == 200
        assert "set-cookie" not in alone.get(path).headers
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert alone.request(method, path).status_code in (401, 405)


async def _anybody(request: Request) -> None: ...


async def _nobody(request: Request) -> None:
    raise Refused(401, "unauthorized", "no login")


async def _reader(request: Request) -> None:
    raise Refused(403, "forbidden", "reads only")


@pytest.fixture(scope="module", params=["nobody", "reader"])
def mounted(request):
    """The application with other checks than a token, as Airflow mounts it: the role, and a client of it."""
    checks = {"nobody": (_nobody, _nobody), "reader": (_anybody, _reader)}[request.param]
    app = make_app(SETTINGS, may_read=checks[0], may_write=checks[1])
    return request.param, TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)


@pytest.mark.parametrize("form", FORMS)
def test_a_role_gets_what_it_may(mounted, form):
    role, client = mounted
    headers, body = FORMS[form]
    for method, path in ROUTES:
        if path == "/openapi.json":  # of the service alone
            continue
        answer = client.request(method, at(path), headers=headers, content=body)
        if role == "nobody":
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
        elif is_change(method, path):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
        else:
            assert answer.status_code not in (401, 403, 500), (method, path, answer.text)
