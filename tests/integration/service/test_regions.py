"""Searches by a region: in pictures of four drawn scenes, what is cut out finds the pictures that hold the same."""

import io
import json
import math
import random
from contextlib import contextmanager
from functools import cache
from itertools import count

import pytest
from PIL import Image

from image_retrieval import Client, UserError
from image_retrieval.cli import main
from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import lay_out
from image_retrieval.store.connection import connect
from integration.pictures import SCENES
from integration.service.conftest import as_base64

WANTED = ("red", "circle")
SIDE = 160
CORNERS = {"top left": (0, 0), "top right": (SIDE, 0), "bottom left": (0, SIDE), "bottom right": (SIDE, SIDE)}
TOP_LEFT = [0, 0, 0.5, 0.5]


def mosaic(layouts):
    """A picture of four scenes, one in each corner."""
    image = Image.new("RGB", (2 * SIDE, 2 * SIDE))
    for layout, corner in zip(layouts, CORNERS.values(), strict=True):
        image.paste(draw(layout, random.Random(0)).convert("RGB").resize((SIDE, SIDE)), corner)
    target = io.BytesIO()
    image.save(target, "JPEG", quality=90)
    return target.getvalue()


def layouts():
    return (lay_out(number, 11) for number in count())


@cache
def mosaics():
    """Pictures by id, `<corner of the wanted thing, or none>/<number>`, and one to search by, of other scenes."""
    wanted = (layout for layout in layouts() if (layout.main.hue, layout.main.shape) == WANTED)
    others = (layout for layout in layouts() if layout.main.hue != "red" and layout.main.shape != "circle")
    found = {}
    for number in range(3):
        for place, corner in enumerate([*CORNERS, "none"]):
            four = [next(wanted) if place == at else next(others) for at in range(4)]
            found[f"{corner.replace(' ', '-')}/{number}"] = mosaic(four)
    return found, mosaic([next(wanted), *(next(others) for _ in range(3))])


@pytest.fixture(scope="module")
def query():
    return mosaics()[1]


@pytest.fixture(scope="module")
def made(client):
    """A collection of such pictures."""
    assert client.post("/api/collections", json={"name": "mosaics"}).status_code == 201
    for image_id, data in mosaics()[0].items():
        answer = client.put(f"/api/collections/mosaics/images/{image_id}", json={"base64": as_base64(data)})
        assert answer.status_code == 200, answer.text
    yield "mosaics"
    client.delete("/api/collections/mosaics")


def corners(answer):
    return [row["image_id"].partition("/")[0] for row in answer["results"]]


def test_a_region_finds_what_holds_the_same_thing_anywhere(ask, made, query):
    """One vector stands for a whole picture: that says what it holds, and little of where."""
    image = {"base64": as_base64(query), "region": TOP_LEFT}
    found = corners(ask("search", collection=made, images=[image], k=15, min_score=-1))
    assert len(found) == 15
    assert "none" not in found[:6]
    whole = corners(ask("search", collection=made, images=[{"base64": as_base64(query)}], k=15, min_score=-1))
    assert found.index("none") > whole.index("none")


def test_at_its_place_the_same_thing_comes_first(ask, made, query):
    """The same region of each of the nearest pictures is embedded and compared."""
    image = {"base64": as_base64(query), "region": TOP_LEFT}
    found = ask("search", collection=made, images=[image], at_place=True, k=15, min_score=-1)
    assert set(corners(found)[:3]) == {"top-left"}
    similarities = [row["similarity"] for row in found["results"]]
    assert similarities == sorted(similarities, reverse=True)
    pages = [
        corners(ask("search", collection=made, images=[image], at_place=True, k=3, offset=offset, min_score=-1))
        for offset in (0, 3)
    ]
    assert [corner for page in pages for corner in page] == corners(found)[:6]


def test_every_client_ranks_by_place_in_the_unit_of_the_collection(
    ask, made, served, query, tmp_path, monkeypatch, capsys
):
    """The vectors have the length 1, so a cosine tells their L2 distance."""
    (tmp_path / "query.jpg").write_bytes(query)
    image = {"base64": as_base64(query), "region": TOP_LEFT}
    form = {"collection": made, "images": [image], "at_place": True, "k": 4, "min_score": -1}
    cosines = [row["similarity"] for row in ask("search", **form)["results"]]
    monkeypatch.setattr("image_retrieval.cli.load_settings", lambda: served)
    given = ["--image", str(tmp_path / "query.jpg"), "--region", "0,0,0.5,0.5", "--at-place", "-k", "4", "--json"]
    for distance in ("cosine", "l2"):
        with measured_by(served, made, distance), Client(served) as python:
            answer = ask("search", **form)["results"]
            found = python.search(made, image=query, region=TOP_LEFT, at_place=True, k=4)
            same = python.search(made, image_id="top-left/0", region=TOP_LEFT, at_place=True, min_similarity=0.9)
            assert main(["search", made, *given]) == 0
        told = json.loads(capsys.readouterr().out)["results"]
        wanted = [1 / (1 + math.sqrt(2 - 2 * cosine)) for cosine in cosines] if distance == "l2" else cosines
        assert [row["similarity"] for row in answer] == pytest.approx(wanted, abs=1e-3)
        first = [(row["image_id"], pytest.approx(row["similarity"], abs=1e-3)) for row in answer]
        assert [(hit.image_id, hit.similarity) for hit in found] == first
        assert [(row["image_id"], row["similarity"]) for row in told] == first
        assert (same[0].image_id, same[0].similarity) == ("top-left/0", pytest.approx(1, abs=2e-3))


@contextmanager
def measured_by(served, made, distance):
    """The collection while its vectors are compared by another distance."""

    def change(to):
        with connect(served) as connection:
            connection.execute("UPDATE retrieval.collection SET distance = %s WHERE name = %s", (to, made))
            connection.execute(
                "UPDATE retrieval.made_collection "
                "SET definition = definition || jsonb_build_object('distance', %s::text) WHERE name = %s",
                (to, made),
            )

    change(distance)
    try:
        yield
    finally:
        change("cosine")


def test_a_region_of_a_stored_image_is_that_of_its_bytes(ask, made, client):
    data = mosaics()[0]["top-left/0"]
    by_id = {"image_id": "top-left/0", "region": TOP_LEFT}
    by_bytes = {"base64": as_base64(data), "region": TOP_LEFT}
    assert ask("match", collection=made, a=by_id, b=by_bytes)["similarity"] == pytest.approx(1, abs=1e-5)
    crop = io.BytesIO()
    Image.open(io.BytesIO(data)).crop((0, 0, SIDE, SIDE)).save(crop, "PNG")
    assert ask("match", collection=made, a=by_id, b={"base64": as_base64(crop.getvalue())})["similarity"] > 0.999
    assert ask("match", collection=made, a=by_id, b={"image_id": "top-left/0"})["similarity"] < 0.99
    found = ask("search", collection=made, images=[by_id], at_place=True, k=3, min_score=-1)
    assert found["results"][0]["image_id"] == "top-left/0"


def test_python_and_the_command_line_cut_the_same(ask, made, served, query, tmp_path, monkeypatch, capsys):
    wanted = [
        row["image_id"]
        for row in ask(
            "search", collection=made, images=[{"base64": as_base64(query), "region": TOP_LEFT}], k=5, min_score=-1
        )["results"]
    ]
    with Client(served) as python:
        assert [hit.image_id for hit in python.search(made, image=query, region=TOP_LEFT, k=5)] == wanted
        by_id = [hit.image_id for hit in python.search(made, image_id="top-left/0", region=TOP_LEFT, k=5)]
        for region in ((0, 0, 2, 1), "all", (1, 2)):
            with pytest.raises(UserError, match="region must be left, top"):
                python.search(made, image=query, region=region)
        with pytest.raises(UserError, match="a part of one picture"):
            python.search(made, "a star", region=TOP_LEFT)
        with pytest.raises(UserError, match="at_place takes one image"):
            python.search(made, image_id="top-left/0", at_place=True)
    monkeypatch.setattr("image_retrieval.cli.load_settings", lambda: served)
    (tmp_path / "query.jpg").write_bytes(query)
    for given, found in ((["--image", str(tmp_path / "query.jpg")], wanted), (["--id", "top-left/0"], by_id)):
        assert main(["search", made, *given, "--region", "0,0,0.5,0.5", "-k", "5", "--json"]) == 0
        assert [row["image_id"] for row in json.loads(capsys.readouterr().out)["results"]] == found
    assert main(["search", made, "--text", "a", "--region", "0,0,1,1"]) == 2
    assert main(["search", made, "--id", "a", "--at-place"]) == 2
    assert main(["search", made, "--id", "a", "--region", "0,0,1"]) == 2


@pytest.mark.parametrize("region", [[0, 0, 1], [0, 0, 0, 1], [0.5, 0, 0.6, 1], [-0.1, 0, 1, 1], "all", [0, 0, "a", 1]])
def test_what_is_no_region_is_told(client, region):
    image = {"base64": as_base64(next(iter(SCENES.values()))), "region": region}
    answer = client.post("/api/search", json={"collection": "things", "images": [image]})
    assert answer.status_code == 422
    assert "region" in answer.json()["detail"]


def test_at_place_needs_a_place(client):
    first = next(iter(SCENES)).rpartition(".")[0]
    cut = {"image_id": first, "region": TOP_LEFT}
    for form in (
        {"images": [{"image_id": first}]},
        {"images": [cut, cut]},
        {"images": [cut], "texts": [{"text": "a"}]},
    ):
        answer = client.post("/api/search", json={"collection": "things", "at_place": True, **form})
        assert (answer.status_code, "one image with a region" in answer.json()["detail"]) == (422, True)
    gone = client.post("/api/search", json={"collection": "things", "images": [{"image_id": "no", "region": TOP_LEFT}]})
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_image")
