"""What people type, and what a listing finds: searched, shown, or refused in words."""

import json
import threading
from collections import Counter
from urllib.parse import quote

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.objects import ObjectStore
from image_retrieval.service.app import make_app
from image_retrieval.service.bodies import StrictRoute
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, as_base64

FIRST, SECOND = list(SCENES.values())[:2]
BOUNDED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OPERATORS = st.sampled_from(["gt", "gte", "lt", "lte", "any", "match", "not", "and", "or", "attributes", "width", "x"])
NAMES = (
    st.sampled_from(["group_id", "image_id", "caption", "width", "format", "created_at"])
    | OPERATORS
    | st.text(max_size=3)
)
FILTERS = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)


def problem(answer):
    """The detail of a refusal that has the one form."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert told["status"] == answer.status_code
    return told["detail"]


def search(client, **form):
    return client.post(
        "/api/search",
        content=json.dumps({"collection": "things", "images": [{"image_id": "red-circle/0000"}], "k": 3, **form}),
        headers={"Content-Type": "application/json"},
    )


@BOUNDED
@given(FILTERS)
def test_any_filter_is_answered_or_refused(client, filter):
    answer = search(client, filter=filter)
    assert answer.status_code in (200, 404, 422), answer.text
    assert answer.status_code != 422 or problem(answer)


@BOUNDED
@given(st.text(st.characters(), max_size=20))
def test_any_text_is_looked_for_or_refused(client, text):
    for answer in (
        search(client, images=[{"image_id": text}]),
        client.get("/api/collections/things/image", params={"image_id": text.encode("utf-8", "replace")}),
        client.get("/api/collections/things/images", params={"after": text.encode("utf-8", "replace"), "limit": 1}),
    ):
        assert answer.status_code in (200, 404, 422), answer.text
        assert answer.status_code == 200 or problem(answer)


@pytest.mark.parametrize("text", ["", " ", "\u3000", "\n\t", "\u200b", "x" * 1001, "a\0", "\ud800"])
def test_a_text_that_is_none_is_refused(client, text):
    answer = search(client, images=[], texts=[{"text": text}])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"k": NaN}', "NaN"),
        (b'{"filter": {"a": {"b": [1e400]}}}', "too large"),
        (b'{"filter": {"width": ' + b"9" * 400 + b"}}", "too large"),
        (b'{"k": 1, "k": 2}', "twice"),
        (b'{"filter": ' + b'{"not": ' * 60 + b"{}" + b"}" * 61, "deeper"),
        (b'{"filter": ' + b'{"not": ' * 20_000, "deeper"),
        ('{"collection": "démo"}'.encode("latin-1"), "not UTF-8"),
        ('{"collection": "things"}'.encode("utf-16"), "not UTF-8"),
        (b"+AHs-+AH0-", "Expecting value"),
    ],
)
@pytest.mark.parametrize("path", ["search", "similar", "match", "collections", "collections/things/rejected/requeue"])
def test_a_body_that_is_no_json_is_refused_everywhere(client, path, body, told):
    for kind in ("application/json", "application/json; charset=latin-1"):
        answer = client.post(f"/api/{path}", content=body, headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert told in problem(answer)


def test_a_byte_order_mark_and_another_kind_of_body(client):
    body = b"\xef\xbb\xbf" + json.dumps({"collection": "things", "image_id": "nowhere"}).encode()
    answers = [
        client.post("/api/similar", content=body, headers={"Content-Type": kind} if kind else {})
        for kind in ("application/json", "text/json; charset=latin-1", "text/plain", None)
    ]
    assert [answer.status_code for answer in answers] == [404, 422, 422, 422]


@pytest.mark.parametrize(
    "query",
    ["limit=1e9", "limit=-1", "limit=" + "9" * 400, "limit=NaN", "limit=1&limit=x", "after=%00", "group_id=a%00b"],
)
def test_a_query_that_is_out_of_range_is_refused(client, query):
    assert problem(client.get(f"/api/collections/things/images?{query}"))
    for other in ("rejected?final=maybe", "rejected?reason=%00", "duplicates?tier=x", "duplicates?offset=1e9"):
        assert client.get(f"/api/collections/things/{other}").status_code == 422


def test_every_route_reads_strict_json(served):
    app = make_app(served, may_read=lambda: None, may_write=lambda: None)
    routes = [route for route in app.routes if getattr(route, "body_field", None) is not None]
    assert len(routes) > 8
    assert all(isinstance(route, StrictRoute) for route in routes)
    app.state.service.close()


ODD = {
    "long": "l" * 200 + "/" + "m" * 200 + "/" + "n" * 150,
    "newline": "a\nb",
    "trailing": "end\n",
    "control": "a\x01\x1b[31mb",
    "dots": "a/../../b",
    "quotes": "\"'<script>alert(1)</script>",
    "percent": "a%2Fb%00c",
    "question": "a?b#c",
    "slashes": "a//b",
    "unicode": "猫 \u202e👩\u200d🚀",
}


@pytest.fixture(scope="module")
def odd(served, client):
    """Images under ids that a listing may make of keys, though not every store takes such keys."""
    assert client.post("/api/collections", json={"name": "odd"}).status_code == 201
    for name in ODD:
        answer = client.put(f"/api/collections/odd/images/{name}", json={"base64": as_base64(FIRST)})
        assert answer.status_code == 200, answer.text
    with psycopg.connect(served.database()) as connection:
        for name, image_id in ODD.items():
            connection.execute(
                "UPDATE retrieval.image SET image_id = %s WHERE collection = 'odd' AND image_id = %s", [image_id, name]
            )
    yield ODD
    client.delete("/api/collections/odd")


@pytest.mark.parametrize("kind", ODD)
def test_an_id_that_a_listing_made_is_found_everywhere(client, odd, kind):
    image_id = odd[kind]
    base, query = "/api/collections/odd", {"image_id": image_id}
    shown = client.get(f"{base}/image", params=query).json()
    assert shown["image_id"] == image_id
    if kind != "dots":  # clients of HTTP take such parts out of a path
        assert client.get(f"{base}/images/{quote(image_id)}").json() == shown
        assert client.get(f"{base}/pictures/{quote(image_id)}", params={"original": True}).content == FIRST
    assert client.get(f"{base}/picture", params={**query, "original": True}).content == FIRST
    assert client.patch(f"{base}/image", params=query, json={"caption": image_id}).json()["caption"] == image_id
    found = client.post("/api/search", json={"collection": "odd", "images": [query], "filter": query}).json()
    assert [row["image_id"] for row in found["results"]] == [image_id]
    similar = client.post("/api/similar", json={"collection": "odd", **query, "filter": {"caption": image_id}}).json()
    assert similar["results"] == []
    put = client.put(f"{base}/image", params=query, json={"base64": as_base64(SECOND)})
    assert put.status_code == 200, put.text
    assert client.delete(f"{base}/image", params=query).status_code == 204
    assert client.get(f"{base}/image", params=query).status_code == 404


@pytest.mark.parametrize("image_id", ["x" * 501, "a\nb", "a\x1bb", "../a", "a//b", "a\\b"])
def test_a_new_id_keeps_to_its_limits(client, image_id):
    picture = {"base64": as_base64(FIRST)}
    path = "/api/collections/things"
    assert client.post(f"{path}/images", json={**picture, "image_id": image_id}).status_code == 422
    assert client.put(f"{path}/image", params={"image_id": image_id}, json=picture).status_code == 422


def at_once(address, calls):
    """The answers to requests (method, path, form) that are sent at the same time."""
    ready, found = threading.Barrier(len(calls)), []

    def send(method, path, form):
        with httpx.Client(base_url=address, headers={"Authorization": TOKEN}, timeout=400) as client:
            ready.wait()
            found.append(client.request(method, path, json=form))

    threads = [threading.Thread(target=send, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_of_those_who_register_one_id_one_is_written(address, client, served):
    path = "/api/collections/things/images"
    pictures = list(SCENES.values())[:6]
    calls = [("POST", path, {"image_id": "raced", "base64": as_base64(data)}) for data in pictures]
    found = at_once(address, calls)
    assert Counter(answer.status_code for answer in found) == {201: 1, 409: 5}
    [made] = [answer.json() for answer in found if answer.status_code == 201]
    assert client.get(f"{path}/raced").json() == made
    assert client.get("/api/collections/things/pictures/raced?original=true").content in pictures
    found = at_once(
        address,
        [
            *calls,
            ("PUT", f"{path}/raced", {"base64": as_base64(pictures[0])}),
            ("DELETE", f"{path}/raced", None),
            ("PATCH", f"{path}/raced", {"caption": "raced"}),
        ],
    )
    assert sum(answer.status_code == 201 for answer in found) <= 1
    assert all(answer.status_code < 500 for answer in found)
    client.delete(f"{path}/raced")


def test_an_object_that_no_run_has_listed_is_not_written_over(client, served, things):
    store, uri = ObjectStore(served), f"{things.source}blue-ring/brought.jpg"
    store.write(uri, SECOND)
    form = {"image_id": "blue-ring/brought", "base64": as_base64(FIRST)}
    answer = client.post("/api/collections/things/images", json=form)
    assert (answer.status_code, answer.json()["code"]) == (409, "exists")
    assert store.read(uri) == SECOND
    store.delete([uri])
