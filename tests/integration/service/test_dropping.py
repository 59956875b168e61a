"""Through the API: a collection is dropped with its originals, and one whose entry is gone is searched, not changed."""

import pytest
import yaml

from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.service import collections
from image_retrieval.store.connection import connect
from image_retrieval.store.pending import read_pending
from integration.collections_as_left import fill
from integration.pictures import SCENES
from integration.refusing import refusing_store
from integration.service.conftest import as_base64
from integration.tables import rows

PICTURE = as_base64(next(iter(SCENES.values())))
BOOTS = "/api/collections/boots"


@pytest.fixture
def boots(client):
    """A collection made through the API, with an image."""
    assert client.post("/api/collections", json={"name": "boots"}).status_code == 201
    given = client.post(f"{BOOTS}/images", json={"image_id": "a", "base64": PICTURE})
    assert given.status_code == 201
    yield given.json()["image_path"]
    client.delete(BOOTS)


def pending(served, name="boots"):
    with connect(served) as connection:
        return read_pending(connection, name)


def test_what_a_broken_drop_has_left_a_second_request_deletes(client, boots, served):
    store = ObjectStore(served)
    with refusing_store(served, {"boots/a.jpg", "boots/a.png"}) as refusing:
        left = drop_collection("boots", refusing, originals=True)
    assert left == [boots]
    assert client.get(BOOTS).status_code == 404
    assert client.delete(BOOTS).status_code == 204
    assert (store.exists(boots), pending(served)) == (False, [])
    assert client.delete(BOOTS).status_code == 404


def test_a_collection_in_use_is_not_dropped_and_says_when_to_ask_again(client, boots, served, monkeypatch):
    monkeypatch.setattr(collections, "SECONDS", 0.2)
    with connect(served) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:boots', 0))")
        answer = client.delete(BOOTS)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (503, "unavailable", "5")
    assert client.get(f"{BOOTS}/images/a").status_code == 200


def test_a_picture_that_is_replaced_leaves_no_copy(client, boots, served):
    other = as_base64(list(SCENES.values())[1])
    assert client.put(f"{BOOTS}/images/a", json={"base64": other}).status_code == 200
    copies = [entry for page in ObjectStore(served).pages(f"{served.work_uri}former/boots/") for entry in page]
    assert (copies, pending(served)) == ([], [])


def test_the_command_keeps_the_originals_unless_asked(client, boots, served):
    drop_collection("boots", served)
    assert ObjectStore(served).exists(boots)
    assert client.post("/api/collections", json={"name": "boots"}).status_code == 201
    assert client.get(f"{BOOTS}/images").json()["images"] == []
    drop_collection("boots", served, originals=True)
    assert not ObjectStore(served).exists(boots)


def test_a_collection_whose_entry_is_gone_is_searched_and_not_changed(client, things, served):
    gone = things.model_copy(update={"name": "gone", "source": things.source[:-1] + "-gone/"})
    fill(gone, served, ObjectStore(served))
    info = client.get("/api/collections/gone").json()
    assert (info["made"], info["listed"]) == (False, False)
    assert "gone" in {entry["name"] for entry in client.get("/api/collections").json()}
    found = client.post("/api/similar", json={"collection": "gone", "image_id": "a"})
    assert [row["image_id"] for row in found.json()["results"]] == ["b/c", "b/d"]
    for answer in (
        client.put("/api/collections/gone/images/a", json={"base64": PICTURE}),
        client.post("/api/collections/gone/images", json={"base64": PICTURE}),
        client.patch("/api/collections/gone/images/a", json={"caption": "x"}),
        client.delete("/api/collections/gone/images/a"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "not_listed")
    refused = client.delete("/api/collections/gone")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_made_here")
    assert "`image-retrieval collections drop gone`" in refused.json()["hint"]
    drop_collection("gone", served)
    assert client.get("/api/collections/gone").status_code == 404
    assert rows(served.database(), "SELECT count(*) FROM retrieval.image WHERE collection = 'gone'") == [(0,)]
    assert ObjectStore(served).exists(gone.source + "a.jpg")
    assert yaml.safe_load(served.collections_path.read_text())["collections"].keys() == {"things"}
