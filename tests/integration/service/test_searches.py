"""Searches through the API, on real vectors."""

import pytest

from integration.pictures import SCENES, half_size_copy
from integration.service.conftest import as_base64


@pytest.fixture
def ask(client, scenes):
    """Post a form that must be answered; returns the answer."""

    def post(path: str, **form):
        answer = client.post(f"/api/{path}", json={"collection": "things", **form})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


def ids(answer):
    return [row["image_id"] for row in answer["results"]]


def test_a_picture_finds_itself(ask):
    for key, data in list(SCENES.items())[:3]:
        found = ask("search", images=[{"base64": as_base64(data)}], k=3)
        assert found["results"][0]["image_path"].endswith(key)
        assert found["results"][0]["similarity"] > 0.99
        assert found["calibration"] is None


def test_a_text_finds_something_and_stays_in_the_table(ask, client):
    first = ask("search", texts=[{"text": "two red circles"}], k=5)
    assert len(first["results"]) == 5
    assert ids(ask("search", texts=[{"text": "two red circles"}], k=5)) == ids(first)


def test_similar_leaves_the_image_itself_out(ask):
    some = ids(ask("search", texts=[{"text": "a star"}]))
    found = ids(ask("similar", image_id=some[0], k=5))
    assert some[0] not in found
    assert len(found) == 5


def test_a_copy_matches_its_original(ask):
    first, second = list(SCENES.values())[:2]
    copy = ask("match", a={"base64": as_base64(first)}, b={"base64": as_base64(half_size_copy(first))})
    other = ask("match", a={"base64": as_base64(first)}, b={"base64": as_base64(second)})
    assert copy["similarity"] > 0.95 > other["similarity"]


def test_health_embeds(client, scenes):
    answer = client.get("/api/health")
    assert answer.status_code == 200, answer.text
    assert answer.json()["dimensions"] == 128
