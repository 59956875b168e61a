"""The map through the API: clusters, points in compact bytes, and the images behind them."""

import pytest

from image_retrieval.maps.packing import unpack
from image_retrieval.pipeline.upkeep import keep_map, kept_collections
from integration.tables import rows

MAP = "/api/collections/things/map"


@pytest.fixture
def mapped(served):
    keep_map(kept_collections(served)["things"], served)


def test_a_map_is_served_after_the_upkeep(client, mapped, served):
    answer = client.get(f"{MAP}/points")
    points = unpack(answer.content)
    expected = rows(served.database(), "SELECT image_id, x, y, cluster FROM images.map('things')")
    assert len(points.ids) == len(expected) > 20
    assert points.x.tolist() == pytest.approx([x for _, x, _, _ in expected], abs=1e-5)
    assert points.clusters.tolist() == [cluster for *_, cluster in expected]
    told = client.get(MAP).json()
    assert {cluster["image_id"] for cluster in told["clusters"]} <= {name for name, *_ in expected}
    assert sum(cluster["images"] for cluster in told["clusters"] if cluster["level"] == 1) == len(expected)
    some = points.ids[:3].tolist()
    found = client.get(f"{MAP}/images", params={"id": [*some, 2**62, -(2**70)]}).json()["images"]
    assert {image["id"]: image["image_id"] for image in found} == dict(
        zip(some, [name for name, *_ in expected[:3]], strict=True)
    )


def test_points_are_sent_again_only_if_they_changed(client, mapped):
    first = client.get(f"{MAP}/points")
    tag = first.headers["etag"]
    same = client.get(f"{MAP}/points", headers={"If-None-Match": f'"other", W/{tag}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    some = client.get(f"{MAP}/points", params={"filter": '{"format": "PNG"}'}, headers={"If-None-Match": tag})
    assert some.status_code == 200
    assert 0 < len(unpack(some.content).ids) < len(unpack(first.content).ids)


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("/points", {"filter": "{"}, 422, "invalid_request"),
        ("/points", {"filter": "[1]"}, 422, "invalid_request"),
        ("/points", {"filter": '{"nothing": 1}'}, 422, None),
        ("/images", {}, 422, "invalid_request"),
        ("/images", {"id": [1] * 201}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_asked_is_told(client, mapped, path, params, status, code):
    answer = client.get(f"{MAP}{path}", params=params)
    assert answer.status_code == status, answer.text
    assert code in (None, answer.json()["code"])


def test_a_collection_without_a_map_says_how_to_make_one(client):
    client.post("/api/collections", json={"name": "bare"})
    answer = client.get("/api/collections/bare/map")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_map")
    assert "image-retrieval map bare" in answer.json()["hint"]
    assert len(client.get("/api/collections/bare/map/points").content) == 8
    client.delete("/api/collections/bare")
