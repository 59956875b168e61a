"""Pages of the images that match a filter, and captions in each language."""

import json
from collections import Counter

import pytest

from image_retrieval.store.connection import connect

IMAGES = "/api/collections/things/images"


@pytest.fixture(scope="module")
def all_images(client):
    return client.get(IMAGES, params={"limit": 500}).json()["images"]


def _pages(client, limit=3, **asked):
    found, after = [], None
    while True:
        params = asked | {"limit": limit} | ({"after": after} if after else {})
        answer = client.get(IMAGES, params=params)
        assert answer.status_code == 200, answer.text
        found += [image["image_id"] for image in answer.json()["images"]]
        after = answer.json()["after"]
        if after is None:
            return found


@pytest.mark.parametrize("facet", ["colour", "orientation", "format", "group_id"])
def test_the_images_of_each_counted_value_are_browsed(client, all_images, facet):
    counted = client.post("/api/facets", json={"collection": "things", "most": 500}).json()["facets"][facet]
    values = [image["colours"] if facet == "colour" else [image[facet]] for image in all_images]
    assert counted == Counter(value for each in values for value in each if value is not None)
    for value, images in counted.items():
        found = _pages(client, filter=json.dumps({facet: value}))
        assert found == [image["image_id"] for image, each in zip(all_images, values, strict=True) if value in each]
        assert len(found) == images


def test_a_filter_and_a_group_must_both_hold(client, all_images):
    group = all_images[0]["group_id"]
    assert _pages(client, group_id=group, filter='{"group_id": "no-group"}') == []
    wide = [image["image_id"] for image in all_images if image["group_id"] == group and image["width"] > 100]
    assert _pages(client, group_id=group, filter='{"width": {"gt": 100}}') == wide != []


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a": NaN}', '{"no_column": 1}', '{"width": {"like": 3}}'])
def test_a_filter_that_is_none_is_told(client, text):
    answer = client.get(IMAGES, params={"filter": text})
    assert answer.status_code in (400, 422)
    assert "filter" in answer.json()["detail"]


@pytest.fixture
def captioned(served, all_images):
    """The id of an image with captions in two languages."""
    with connect(served) as connection:
        connection.execute("INSERT INTO retrieval.shown_captions VALUES ('things', 'writer', '{en,zh}')")
        connection.execute(
            "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
            "SELECT i.id, 'writer', l, i.etag, 'd', CASE l WHEN 'en' THEN 'four red circles' ELSE '四个红色圆形' END "
            "FROM retrieval.image AS i, unnest(ARRAY['en', 'zh']) AS l "
            "WHERE i.collection = 'things' AND i.image_id = %s",
            [all_images[0]["image_id"]],
        )
    yield all_images[0]["image_id"]
    with connect(served) as connection:
        connection.execute("DELETE FROM retrieval.caption WHERE model = 'writer'")
        connection.execute("DELETE FROM retrieval.shown_captions WHERE collection = 'things'")


def test_captions_of_each_language_come_when_asked_for_and_people_win(client, ask, captioned):
    told = {"en": "four red circles", "zh": "四个红色圆形"}
    path = f"{IMAGES}/{captioned}"
    assert client.get(path).json()["captions"] == told
    form = {"texts": [{"text": "circles"}], "k": 50}
    assert {one["captions"] for one in ask("search", **form)["results"]} == {None}
    found = {one["image_id"]: one["captions"] for one in ask("search", **form, captions=True)["results"]}
    assert {image: captions for image, captions in found.items() if captions} == {captioned: told}
    mine = client.patch(path, json={"caption": "mine"}).json()
    assert (mine["caption"], mine["captions"]) == ("mine", told)
    assert client.patch(path, json={"caption": None}).json()["caption"] == told["en"]
