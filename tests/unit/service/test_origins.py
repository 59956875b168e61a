"""Who may have sent a request that is not JSON."""

import asyncio

import pytest
from fastapi import Request

from image_retrieval.service.errors import Refused
from image_retrieval.service.origins import is_json, refuse_other_sites

HOST = {"host": "search.example"}
COOKIE = {"cookie": "_token=somebody's"}
PLAIN = {"content-type": "text/plain"}


def is_taken(headers):
    pairs = [(name.encode(), value.encode()) for name, value in {**HOST, **headers}.items()]
    try:
        asyncio.run(refuse_other_sites(Request({"type": "http", "method": "POST", "headers": pairs})))
    except Refused as refused:
        return refused.status != 403
    return True


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/x-www-form-urlencoded"},
        {**PLAIN, "authorization": "a-token", "origin": "https://other.example", **COOKIE},
        {**PLAIN, "authorization": "Bearer a-token"},
        {**PLAIN, "sec-fetch-site": "same-origin", **COOKIE},
        {**PLAIN, "origin": "https://search.example", **COOKIE},
        {"content-type": "application/json", "origin": "https://other.example", **COOKIE},
        {"content-type": "Application/Problem+JSON; charset=utf-8", **COOKIE},
    ],
)
def test_programs_and_the_own_page_are_heard(headers):
    assert is_taken(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {**COOKIE},  # a browser that says nothing of where it is
        {**PLAIN, "referer": "https://other.example/"},
        {**PLAIN, "origin": "https://other.example"},
        {**PLAIN, "origin": "null"},
        {**PLAIN, "origin": "https://search.example.other.example"},
        {**PLAIN, "origin": "https://search.example:8443"},
        {**PLAIN, "sec-fetch-site": "cross-site"},
        {**PLAIN, "sec-fetch-site": "same-site", **COOKIE},
        {**PLAIN, "sec-fetch-site": "none", **COOKIE},
        {**PLAIN, "sec-fetch-site": "cross-site", "origin": "https://search.example"},
        {**PLAIN, "authorization": "Basic dTpw", "origin": "https://other.example"},
        {**PLAIN, "authorization": "Negotiate YII", **COOKIE},
        {**PLAIN, "authorization": "", **COOKIE},
        {"content-type": "text/plain; a=application/json", "origin": "https://other.example"},
        {"content-type": "text/plain, application/json", "origin": "https://other.example"},
        {"content-type": "text/json", "origin": "https://other.example"},
    ],
)
def test_what_another_site_may_have_sent_is_not(headers):
    assert not is_taken(headers)


@pytest.mark.parametrize("kind", ["application/json", " APPLICATION/JSON ;charset=utf-8", "application/ld+json"])
def test_json_is_known_by_its_name(kind):
    assert is_json(kind)
