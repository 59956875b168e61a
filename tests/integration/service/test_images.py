"""Collections and images through the API, in step with what runs do."""

import io

import psycopg
import pytest
from PIL import Image

from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.running import run_collection
from integration.pictures import SCENES
from integration.service.conftest import as_base64

FIRST, SECOND = list(SCENES.values())[:2]


def done(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


@pytest.fixture
def shoes(client):
    """A collection made through the API."""
    done(client.post("/api/collections", json={"name": "shoes"}), 201)
    yield "/api/collections/shoes"
    client.delete("/api/collections/shoes")


def test_a_collection_is_made_searched_and_dropped(client, shoes, served):
    assert done(client.get(shoes))["made"]
    search = {"collection": "shoes", "texts": [{"text": "a star"}]}
    assert done(client.post("/api/search", json=search))["results"] == []
    given = {"base64": as_base64(FIRST), "group_id": "red", "intra_id": "1", "attributes": {"price": 3}}
    made = done(client.post(f"{shoes}/images", json=given), 201)
    assert (made["image_id"], made["group_id"], made["attributes"]) == ("red/1", "red", {"price": 3})
    assert ObjectStore(served).read(made["image_path"]) == FIRST
    assert [row["image_id"] for row in done(client.post("/api/search", json=search))["results"]] == ["red/1"]
    picture = client.get(f"{shoes}/pictures/red/1", params={"original": True})
    assert (picture.content, picture.headers["x-content-type-options"]) == (FIRST, "nosniff")
    assert client.get(f"{shoes}/pictures/red/1").headers["content-type"] == "image/png"
    assert client.post(f"{shoes}/images", json=given).status_code == 409
    assert done(client.delete(shoes), 204) is None
    assert client.get(shoes).status_code == 404
    assert not [entry for page in ObjectStore(served).pages(f"{served.service_source_uri}shoes/") for entry in page]


def test_an_image_is_replaced_described_deleted_and_back(client, shoes):
    image = f"{shoes}/images/a/b"
    first = done(client.put(image, json={"base64": as_base64(FIRST), "caption": "first"}))
    second = done(client.put(image, json={"base64": as_base64(SECOND)}))
    assert second["image_path"] == first["image_path"]
    assert second["sha256"] != first["sha256"]
    assert second["caption"] == "first"
    told = done(client.patch(image, json={"group_id": "g", "caption": " \u3000"}))
    assert (told["group_id"], told["caption"]) == ("g", None)
    assert done(client.get(f"{shoes}/images", params={"group_id": "g"}))["images"][0]["image_id"] == "a/b"
    told = done(client.patch(image, json={"group_id": "", "intra_id": ""}))
    assert (told["group_id"], told["intra_id"]) == (None, None)
    assert done(client.delete(image), 204) is None
    assert client.get(image).status_code == client.delete(image).status_code == 404
    assert done(client.put(image, json={"base64": as_base64(FIRST)}))["sha256"] == first["sha256"]


def test_images_are_listed_in_pages(client):
    first = done(client.get("/api/collections/things/images", params={"limit": 10}))
    rest = done(client.get("/api/collections/things/images", params={"limit": 100, "after": first["after"]}))
    names = [image["image_id"] for page in (first, rest) for image in page["images"]]
    assert names == sorted(set(names))
    assert len(names) >= len(SCENES)
    assert rest["after"] is None


def test_the_next_run_finds_registered_and_deleted_images_in_step(client, things, served):
    image = "/api/collections/things/images/blue-ring/by_hand"
    registered = done(client.put(image, json={"base64": as_base64(FIRST), "group_id": "other"}))
    assert registered["group_id"] == "blue-ring"  # as the collection's id_pattern says
    report = run_collection(things, "after_register", served)
    assert (report["new"], report["changed"], report["gone"]) == (0, 0, 0)
    assert done(client.get(image)) == registered
    done(client.delete(image), 204)
    report = run_collection(things, "after_delete", served)
    assert (report["new"], report["changed"], report["gone"], report["restored"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"name": "things"}, 409, "exists"),
        ({"name": "Upper"}, 422, "invalid_request"),
        ({"name": "boots", "model": "unknown"}, 422, "unknown_model"),
        ({"name": "boots", "id_pattern": "("}, 422, "invalid_request"),
        ({"name": "boots", "source": "s3://elsewhere/"}, 422, "invalid_request"),
        ({"name": "boots", "attributes_from": "SELECT 'a' AS image_id"}, 422, "invalid_request"),
    ],
)
def test_a_collection_that_cannot_be_is_refused(client, form, status, code):
    answer = client.post("/api/collections", json=form)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_collection_whose_table_would_be_another_ones_is_refused(client, served):
    with psycopg.connect(served.database()) as connection:
        connection.execute("INSERT INTO retrieval.vector_space (collection, model) VALUES ('shop', 'eu_dual')")
        connection.execute("CREATE TABLE retrieval.vector_shop_eu_dual (LIKE retrieval.vector_things_dual)")
    answer = client.post("/api/collections", json={"name": "shop_eu"})
    assert (answer.status_code, answer.json()["code"]) == (409, "exists")
    assert "would be in vector_shop_eu_dual, which has the name of a table or index of" in answer.json()["detail"]


def test_what_an_entry_left_that_is_gone_from_the_file_is_not_taken_over(client, served):
    with psycopg.connect(served.database()) as connection:
        connection.execute("INSERT INTO retrieval.image (collection, image_id, uri) VALUES ('former', 'a', 's3://a')")
    answer = client.post("/api/collections", json={"name": "former"})
    assert (answer.status_code, answer.json()["code"]) == (409, "exists")
    assert "without an entry" in answer.json()["detail"]


def test_a_collection_of_the_file_is_not_dropped(client):
    answer = client.delete("/api/collections/things")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_made_here")


def test_a_preview_is_small_and_keeps_the_proportions(client):
    for image in done(client.get("/api/collections/things/images"))["images"][:6]:
        answer = client.get(f"/api/collections/things/pictures/{image['image_id']}", params={"preview": True})
        assert answer.headers["content-type"] == "image/jpeg"
        with Image.open(io.BytesIO(answer.content)) as preview:
            assert max(preview.size) == 448
            assert abs(preview.width / preview.height - image["width"] / image["height"]) < 0.01
