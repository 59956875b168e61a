"""Files beside pictures describe them: `a.json` and `a.txt` beside `a.jpg`."""

import json

import pytest

from image_retrieval.collection import find_collection
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.pipeline.registering import Picture, register_image
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store.connection import connect
from integration.pictures import SCENES, put
from integration.tables import rows, versions

FEW = dict(list(SCENES.items())[:4])
STEMS = [key.rpartition(".")[0] for key in FEW]
SHOWN = "SELECT image_id, caption, attributes FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, stage, reason, detail FROM retrieval.rejected"


@pytest.fixture
def run(project, store, collection, change_collection):
    number = iter(range(100))

    def run(**options):
        changed = change_collection(**{"metadata": "sidecar", "id_pattern": None} | options)
        return run_collection(changed, f"run {next(number)}", project)

    return run


def beside(told):
    return {
        name: value.encode() if isinstance(value, str) else json.dumps(value).encode() for name, value in told.items()
    }


def test_sidecars_describe_pictures_and_a_change_writes_one_row(run, store, collection, database_url):
    first, second, third, fourth = STEMS
    put(store, collection.source, FEW)
    told = {
        f"{first}.txt": "a caption\n",
        f"{second}.json": {"caption": "of json", "attributes": {"colour": "red"}, "width": 7},
        f"{second}.txt": "of text",
        f"{third}.json": {"attributes": {"colour": "blue"}},
        "alone.json": {"caption": "of no picture"},
    }
    put(store, collection.source, beside(told))
    report = run()
    assert (report["listed"], report["embedded"], report["rejected"]) == (4, 4, 0)
    expected = {
        first: ("a caption", {}),
        second: ("of json", {"colour": "red"}),
        third: (None, {"colour": "blue"}),
        fourth: (None, {}),
    }
    assert rows(database_url, SHOWN) == sorted((stem, *about) for stem, about in expected.items())
    before = versions(database_url)
    assert run()["shards"] == 0
    assert versions(database_url) == before

    put(store, collection.source, beside({f"{second}.json": {"caption": "anew"}}))
    assert run()["shards"] == 0
    written = {uri for (table, uri), version in versions(database_url).items() if before[table, uri] != version}
    assert {uri.rpartition(".")[0] for uri in written} == {collection.source + second}
    expected[second] = ("anew", {})
    assert rows(database_url, SHOWN) == sorted((stem, *about) for stem, about in expected.items())

    store.delete([f"{collection.source}{first}.txt"])
    run()
    expected[first] = (None, {})
    assert rows(database_url, SHOWN) == sorted((stem, *about) for stem, about in expected.items())
    run(metadata=None)
    assert [row[1:] for row in rows(database_url, SHOWN)] == [(None, {})] * 4


def test_a_faulty_sidecar_is_told_and_its_picture_stays_described(run, store, collection, database_url):
    stem = STEMS[0]
    put(store, collection.source, FEW | beside({f"{stem}.json": {"caption": "right"}}))
    run()
    put(store, collection.source, {f"{stem}.json": b"not json"})
    report = run()
    assert (report["state"], report["rejected"], report["listed"]) == ("success", 1, 5)
    [(uri, stage, reason, detail)] = rows(database_url, REJECTED)
    assert (uri, stage, reason) == (f"{collection.source}{stem}.json", "list", "invalid_line")
    assert "Expecting value" in detail
    assert (stem, "right", {}) in rows(database_url, SHOWN)
    put(store, collection.source, beside({f"{stem}.json": {"caption": "right again"}}))
    run()
    assert rows(database_url, REJECTED) == []
    assert (stem, "right again", {}) in rows(database_url, SHOWN)


def test_a_picture_that_is_replaced_through_the_api_stays_described(run, project, store, collection, database_url):
    key, stem = next(iter(FEW)), STEMS[0]
    put(store, collection.source, {key: FEW[key]} | beside({f"{stem}.json": {"caption": "of json"}}))
    run()
    with Decoders(collection.resample.of_size((224, 224)), project) as decoders:
        found, file = decoders.resample(FEW[key])
    [(digest, size)] = rows(database_url, "SELECT digest, dimensions FROM retrieval.model")
    changed = find_collection(project.collections_path, collection.name)
    with connect(project) as connection:
        picture = Picture(FEW[key], found, file, [1.0] * size, digest)
        register_image(connection, changed, stem, picture, (None, None), project)
    assert rows(database_url, SHOWN) == [(stem, "of json", {})]
