"""The page's own files: who gets them, and what browsers are told about them."""

import re

import pytest
from fastapi import HTTPException, Request
from fastapi.testclient import TestClient
from pydantic import SecretStr

from image_retrieval.service.app import make_app
from image_retrieval.service.routes.page import FILES, PATHS
from image_retrieval.service.standalone import app_alone
from image_retrieval.settings import Settings

TOKEN = "0123456789abcdef"


@pytest.fixture
def alone():
    return TestClient(app_alone(Settings(token=SecretStr(TOKEN))))


@pytest.mark.parametrize("path", sorted(PATHS))
def test_the_files_are_given_without_a_token_and_run_nothing_else(alone, path):
    answer = alone.get(path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'; script-src 'self';" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/page/", "/page/..%2Fapp.py", "/page/nothing.js", "/page//main.js", "/api/collections", "/metrics"]
)
def test_nothing_else_is(alone, path):
    assert alone.get(path).status_code == 401


def test_a_file_is_only_read(alone):
    assert alone.post("/").status_code == 401
    assert alone.post("/", headers={"Authorization": TOKEN}).status_code == 405


def test_mounted_they_are_for_those_who_may_read():
    async def refuse(_request: Request) -> None:
        raise HTTPException(401)

    client = TestClient(make_app(Settings(), may_read=refuse, may_write=refuse))
    assert {client.get(path).status_code for path in PATHS} == {401}


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 204), ("another", 401)])
def test_who_may_change_something_can_ask(alone, token, status):
    assert alone.get("/api/rights/write", headers={"Authorization": token}).status_code == status


def test_the_page_writes_no_markup_and_names_no_other_address():
    for name, data in FILES.items():
        text = data.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://", text), name
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", text) or not name.endswith((".html", ".svg")), (
            name
        )


def test_the_types_of_elements_are_those_of_the_page():
    documented = FILES["dom.js"].decode().partition("} & Record")[0]
    named = set(re.findall(r'"?([a-z-]+)"?: HTML', documented))
    there = set(re.findall(r'<[^>]*?\bid="([a-z-]+)"', FILES["index.html"].decode()))
    assert set() < named <= there
