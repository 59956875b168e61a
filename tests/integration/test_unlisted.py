"""A collection that is taken out of collections.yaml is told as such, and does what needs no entry."""

import json

import pytest
import yaml

from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.upkeep import kept_collections
from image_retrieval.store.collections import stored_collections
from image_retrieval.store.connection import connect
from integration.pictures import SCENES, put
from integration.tables import VECTORS, rows

FEW = dict(list(SCENES.items())[:4])
GONE = "is no longer in {path}: searches, `rejected`, `export`, `stats` and `upkeep` work"


@pytest.fixture
def unlisted(project, change_collection, store):
    """A collection that was run, and whose entry is gone; another entry is there."""
    entry = change_collection(resample={"fit": "pad", "suffix": ".jpg"})
    put(store, entry.source, FEW)
    run_collection(entry, "run", project)
    document = yaml.safe_load(project.collections_path.read_text())
    document["collections"]["shoes"] = document["collections"].pop("things") | {"source": "s3://images/none/"}
    project.collections_path.write_text(yaml.safe_dump(document))
    return entry


def test_a_collection_that_is_not_in_the_file_is_told_and_what_needs_no_entry_works(
    unlisted, command, report, project, tmp_path, database_url
):
    told = GONE.format(path=project.collections_path)
    image_id = next(iter(FEW)).rpartition(".")[0]
    (tmp_path / "query.jpg").write_bytes(next(iter(FEW.values())))
    for arguments in (
        ("search", "things", "--id", image_id, "--json"),
        ("search", "things", "--image", str(tmp_path / "query.jpg"), "--json"),
        ("rejected", "things", "--json"),
        ("export", "things", f"file://{tmp_path}/exported/"),
        ("collections", "show", "things"),
    ):
        done = command(*arguments)
        assert (done.returncode, told in done.stderr, bool(json.loads(done.stdout))) == (0, True, True), arguments
        if "--image" in arguments:  # resampled as the entry said, padded
            best = json.loads(done.stdout)["results"][0]
            assert (best["image_id"], round(best["similarity"], 2)) == (image_id, 1.0)
    for arguments in (
        ("run", "things"),
        ("list", "things"),
        ("resample", "things", "--run", "run"),
        ("upsert", "things", "--run", "run"),
        ("import", "things", str(tmp_path)),
        ("rejected", "things", "--requeue"),
        ("models", "switch", "things", "other"),
        ("models", "rollback", "things"),
        ("healthcheck", "things"),
    ):
        refused = command(*arguments)
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), arguments
        assert told in refused.stderr
        assert "`image-retrieval collections drop things` removes it" in refused.stderr
    assert "unknown collection 'gloves'" in command("run", "gloves").stderr
    assert report("stats", "--json")["things"]["images"] == len(FEW)
    listed = report("collections", "list", "--json")
    assert {name: entry["state"] for name, entry in listed.items()} == {"shoes": "listed", "things": "unlisted"}
    assert listed["things"]["resample"]["fit"] == "pad"
    assert "things" in command("collections", "list").stdout
    assert "not in the file" in command("collections", "list").stdout


def test_upkeep_removes_what_was_deleted_and_leaves_the_rest_alone(unlisted, command, project, database_url, store):
    rows(database_url, "UPDATE retrieval.image SET deleted = now() - interval '99 days' WHERE id = "
         "(SELECT min(id) FROM retrieval.image) RETURNING 1")  # fmt: skip
    assert {name: kept.listed for name, kept in kept_collections(project).items()} == {"things": False}
    done = command("upkeep", "things")
    assert (done.returncode, GONE.format(path=project.collections_path) in done.stderr) == (0, True)
    report = json.loads(done.stdout)
    assert (report["removed"], report["duplicates"], "orphans" in report) == (1, {}, False)
    assert report["index"] == "left alone: the collection is no longer in collections.yaml"
    assert rows(database_url, f"SELECT count(*) FROM {VECTORS}") == [(len(FEW) - 1,)]
    folder = f"{project.work_uri}resampled/things/"
    assert len([entry for page in store.pages(folder) for entry in page]) == len(FEW) - 1
    # and of one that a former version left, no entry is known
    rows(database_url, "UPDATE retrieval.collection SET definition = NULL RETURNING 1")
    with connect(project) as connection:
        entry = stored_collections(connection)["things"]
    assert (entry.source, entry.model.source) == (unlisted.source, unlisted.model.source)
    assert entry.resample.fit == "stretch"


def test_a_database_that_does_not_answer_is_told_and_the_file_is_listed(project, command):
    nowhere = {"IMAGE_RETRIEVAL_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    done = command("collections", "list", **nowhere)
    assert (done.returncode, "things" in done.stdout) == (0, True)
    assert "only the collections of the file: database 'nothing' on 127.0.0.1:9 cannot be reached" in done.stderr
    assert "unknown collection 'gloves'" in command("run", "gloves", **nowhere).stderr
