"""One installation works on two stores at once, each with its own endpoint and keys."""

import json

import pytest

from image_retrieval.local.processes import HOST, free_port, stop
from image_retrieval.local.seaweedfs import start_seaweedfs
from image_retrieval.objects import AccessRefused, ObjectStore, StoreUnavailable
from image_retrieval.settings import load_settings
from integration.pictures import FIRST, LATER, put
from integration.tables import rows

BUCKETS = ("photos", "images")


@pytest.fixture(scope="module")
def other_store(tmp_path_factory):
    """A second installation of the store, which also has a bucket `images`: its entry of the settings."""
    folder, port = tmp_path_factory.mktemp("other"), free_port(8700)
    pid = start_seaweedfs(folder, port, "other-key", "other-secret", BUCKETS)
    yield {
        "endpoint_url": f"http://{HOST}:{port}",
        "access_key_id": "other-key",
        "secret_access_key": "other-secret",
        "addressing": "path",  # an address has no part for a bucket
    }
    stop({"pid": pid, "started": None})


@pytest.fixture
def both(project, other_store, monkeypatch) -> ObjectStore:
    stores = {"oss": other_store, "s3://photos": other_store}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps(stores))
    return ObjectStore(load_settings())


@pytest.mark.parametrize("source", ["oss://images/a/", "s3://photos/a/"])
def test_a_run_reads_one_store_and_keeps_its_files_in_the_other(
    both, report, change_collection, database_url, project, source
):
    change_collection(source=source)
    put(both, source, FIRST)
    found = report("run", "things")
    assert (found["state"], found["new"], found["upserted"]) == ("success", len(FIRST), len(FIRST))
    kept = rows(database_url, "SELECT image_path, resampled_image_path FROM images.things")
    assert {path for path, _ in kept} == {source + key for key in FIRST}
    assert all(uri.startswith(project.work_uri) and both.exists(uri) for _, uri in kept)
    both.delete([source + next(iter(FIRST))])
    put(both, source, LATER)
    again = report("run", "things")
    assert (again["new"], again["changed"], again["gone"]) == (len(LATER), 0, 1)
    both.delete_under(source)


def test_buckets_of_one_name_are_two_buckets(both, collection):
    here, there = f"{collection.source}a.jpg", f"oss://{collection.source.partition('://')[2]}a.jpg"
    both.write(here, b"here")
    both.write(there, b"there")
    assert (both.read(here), both.read(there)) == (b"here", b"there")
    both.delete([here, there])
    assert not both.exists(here)
    assert not both.exists(there)


def test_the_keys_of_one_store_do_not_open_the_other(project, other_store, monkeypatch):
    wrong = other_store | {"access_key_id": "key", "secret_access_key": "never-shown"}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({"oss": wrong}))
    with pytest.raises((AccessRefused, StoreUnavailable), match="the entry 'oss' of IMAGE_RETRIEVAL_STORES") as refused:
        ObjectStore(load_settings()).read("oss://photos/a.jpg")
    assert "never-shown" not in str(refused.value)
