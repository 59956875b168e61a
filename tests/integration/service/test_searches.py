"""Searches through the API, on real vectors."""

import time
from contextlib import contextmanager

import psycopg
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from image_retrieval.service.app import make_app
from image_retrieval.service.clients import count_for
from image_retrieval.service.state import SHOWN_SECONDS
from image_retrieval.store.duplicates import find_duplicates
from integration.pictures import SCENES, half_size_copy
from integration.service.conftest import as_base64

FIRST = next(iter(SCENES))
FIRST_ID = FIRST.rpartition(".")[0]


@contextmanager
def logged_in(settings, name):
    """A client of another application that knows its users and keeps an attribute `name`, as Airflow's does."""

    async def check(request: Request) -> None:
        request.state.user = object()
        count_for(request.scope, "7", name)

    app = make_app(settings, may_read=check, may_write=check)
    try:
        yield TestClient(app)
    finally:
        app.state.service.close()


def ids(answer):
    return [row["image_id"] for row in answer["results"]]


def test_a_picture_finds_itself(ask):
    for key, data in list(SCENES.items())[:3]:
        found = ask("search", images=[{"base64": as_base64(data)}], k=3)
        assert found["results"][0]["image_path"].endswith(key)
        assert found["results"][0]["similarity"] > 0.99
        assert (found["calibration"], found["min_score"]) == (None, None)


@pytest.mark.parametrize("text", ["two red circles", "两个红色圆形"])
def test_a_text_gives_the_same_results_from_model_and_memory(ask, text):
    first = ask("search", texts=[{"text": text}], k=5)
    assert len(first["results"]) == 5
    assert ask("search", texts=[{"text": text}], k=5) == first


def test_pages_follow_each_other(ask):
    whole = ask("search", texts=[{"text": "a star"}], k=9)
    pages = [ask("search", texts=[{"text": "a star"}], k=3, offset=offset) for offset in (0, 3, 6)]
    assert [name for page in pages for name in ids(page)] == ids(whole)
    assert pages[0]["more"]
    assert not ask("search", texts=[{"text": "a star"}], k=100)["more"]


def test_similar_leaves_the_image_itself_out(ask):
    found = ids(ask("similar", image_id=FIRST_ID, k=5))
    assert FIRST_ID not in found
    assert len(found) == 5
    assert found == ids(ask("search", images=[{"image_id": FIRST_ID}], k=6))[1:]


def test_a_minus_term_turns_results_away_from_it(ask):
    plain = ask("search", images=[{"image_id": FIRST_ID}], k=1)["results"][0]
    minus = ask("search", images=[{"image_id": FIRST_ID}], texts=[{"text": "circles", "weight": -0.5}], k=24)
    same = next(row for row in minus["results"] if row["image_id"] == plain["image_id"])
    assert same["similarity"] < plain["similarity"]


def test_filters_and_groups_hold(ask):
    group = FIRST.partition("/")[0]
    only = ask("search", texts=[{"text": "a star"}], k=24, filter={"group_id": group})
    assert {row["group_id"] for row in only["results"]} == {group}
    grouped = ask("search", texts=[{"text": "a star"}], k=24, grouped=True)
    groups = [row["group_id"] for row in grouped["results"]]
    assert len(groups) == len(set(groups)) == len({key.partition("/")[0] for key in SCENES})


def test_a_copy_matches_its_original(ask):
    first, *_, second = SCENES.values()
    copy = ask("match", a={"base64": as_base64(first)}, b={"base64": as_base64(half_size_copy(first))})
    other = ask("match", a={"base64": as_base64(first)}, b={"base64": as_base64(second)})
    assert copy["similarity"] > 0.95 > other["similarity"]
    assert copy["score"] == copy["similarity"]
    assert not copy["calibrated"]


def test_under_the_cutoff_nothing_is_shown(ask, served):
    def calibrate(value):
        with psycopg.connect(served.database()) as connection:
            connection.execute("UPDATE retrieval.model SET calibration = %s::jsonb WHERE name = 'dual'", [value])
        time.sleep(SHOWN_SECONDS)  # until then the service may take the model to be as it was

    calibrate('{"image_image": {"slope": 50, "middle": 0.9}, "text_image_en": {"slope": 50, "middle": 0.999}}')
    try:
        found = ask("similar", image_id=FIRST_ID, k=24)
        assert found["calibration"] == "image_image"
        assert found["min_score"] == 0.5
        assert all(row["score"] >= 0.5 and row["similarity"] >= 0.899 for row in found["results"])
        assert ask("search", texts=[{"text": "a dog on a beach"}])["results"] == []
        assert len(ask("search", texts=[{"text": "a dog on a beach"}], min_score=0)["results"]) == 10
        assert ask("search", texts=[{"text": "沙滩上的一只狗"}])["calibration"] is None
        assert ask("search", texts=[{"text": "a star"}], images=[{"image_id": FIRST_ID}])["calibration"] is None
        match = ask("match", a={"image_id": FIRST_ID}, b={"image_id": FIRST_ID})
        assert match["calibrated"]
        assert match["score"] == 1
    finally:
        calibrate(None)


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"collection": "nothings"}, 404, "unknown_collection"),
        ({"images": [{"image_id": "nowhere"}]}, 404, "unknown_image"),
        ({"images": [{}]}, 422, "invalid_request"),
        ({"texts": []}, 422, "invalid_request"),
        ({"texts": [{"text": "a", "weight": -1}]}, 422, "invalid_request"),
        ({"texts": [{"text": "a"}, {"text": "a", "weight": -1}]}, 422, "empty_query"),
        ({"filter": {"shade": "red"}}, 422, "invalid"),
        ({"images": [{"base64": "no base64!"}]}, 422, "invalid"),
        ({"images": [{"base64": as_base64(b"no picture at all")}]}, 422, "unsupported_format"),
        ({"k": 0}, 422, "invalid_request"),
        ({"unknown": 1}, 422, "invalid_request"),
    ],
)
def test_a_mistake_is_told_in_the_one_form(client, form, status, code):
    asked = {"collection": "things", **({} if "images" in form else {"texts": [{"text": "a star"}]}), **form}
    answer = client.post("/api/search", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_health_embeds_and_metrics_count_it(client):
    answer = client.get("/api/health")
    assert answer.status_code == 200, answer.text
    assert answer.json()["dimensions"] == 128
    metrics = client.get("/metrics").text
    assert 'image_retrieval_requests_total{method="GET",route="/api/health",status="200"}' in metrics
    assert 'image_retrieval_batch_size_count{kind="image"}' in metrics
    memory = next(line for line in metrics.splitlines() if line.startswith("image_retrieval_models_memory_bytes "))
    assert float(memory.split()[1]) > 2**20


def test_reports_tell_what_the_tables_hold(client):
    rejected = client.get("/api/collections/things/rejected").json()
    assert {row["reason"] for row in rejected["rejected"]} == {row["reason"] for row in rejected["by_reason"]}
    assert len(rejected["rejected"]) == 3
    one = client.get("/api/collections/things/rejected", params={"reason": "empty_file"}).json()
    assert [row["reason"] for row in one["rejected"]] == ["empty_file"]
    again = client.post("/api/collections/things/rejected/requeue", json={"reason": "empty_file"}).json()
    assert again == {"requeued": 1}
    assert client.get("/api/stats").json()["things"]["images"] >= len(SCENES)
    run = client.get("/api/collections/things/runs").json()["runs"][0]
    assert (run["state"], run["seconds_left"], run["cost"]) == ("success", 0, None)
    assert client.get("/api/collections/things/duplicates").json() == {"groups": []}


def test_duplicates_are_told_and_decided_on(client, things, served):
    path = "/api/collections/things/duplicates"
    assert client.get(path, params={"tier": "picture"}).json()["waiting"] > 0
    find_duplicates(things, served)
    found = client.get(path, params={"tier": "picture", "limit": 500}).json()
    assert found["waiting"] == 0
    pair = next(pair for pair in found["pairs"] if {pair["a"], pair["b"]} == {pair["a"], pair["a"] + "_again"})
    assert (pair["verdict"], pair["bits"] <= 6) == (None, True)
    decision = {"a": pair["b"], "b": pair["a"], "verdict": "different"}
    assert client.post(f"{path}/verdict", json=decision).status_code == 204
    [decided] = client.get(path, params={"tier": "picture", "decided": True}).json()["pairs"]
    assert (decided["a"], decided["verdict"], decided["decided_by"]) == (pair["a"], "different", "api")
    rest = client.get(path, params={"tier": "picture", "decided": False, "limit": 500}).json()["pairs"]
    assert len(rest) == len(found["pairs"]) - 1
    [second] = client.get(path, params={"tier": "picture", "offset": 1, "limit": 1}).json()["pairs"]
    assert (second["a"], second["b"]) == (found["pairs"][1]["a"], found["pairs"][1]["b"])
    assert client.post(f"{path}/verdict", json=decision | {"verdict": None}).status_code == 204
    with logged_in(served, "anna") as other:
        assert other.post(f"{path}/verdict", json=decision).status_code == 204
        [decided] = other.get(path, params={"tier": "picture", "decided": True}).json()["pairs"]
    assert decided["decided_by"] == "anna"
    assert client.post(f"{path}/verdict", json=decision | {"verdict": None}).status_code == 204
    unknown = client.post(f"{path}/verdict", json=decision | {"a": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid")
