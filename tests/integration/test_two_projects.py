"""Folders that are one project's alone are not another's: neither its pictures nor its files are taken for orphans."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from databases import own_database
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.finishing import finish_run
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.owning import pictures_place, require_own, work_place
from image_retrieval.pipeline.registering import make_collection
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.switching import plan_switch
from image_retrieval.pipeline.upkeep import Kept, remove_deleted
from image_retrieval.store.connection import connect
from integration.pictures import SCENES, put
from integration.tables import rows

ANOTHERS = r"WORK_URI \S+ belongs to another project, whose database has the id \S+, not \S+: .*`image-retrieval "


@pytest.fixture
def second(project, services_folder):
    """A project of another database, with the same buckets, work folder and collections file."""
    name = f"{project.database().rpartition('/')[2]}_second"
    with own_database(services_folder, name) as url:
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE retrieval.project SET id = gen_random_uuid()")
        yield project.model_copy(update={"database_url": SecretStr(url)})


def everything(store, project):
    return sorted(entry.uri for page in store.pages(project.work_uri) for entry in page)


def test_another_projects_work_folder_is_left_alone(project, second, collection, store, command, monkeypatch):
    put(store, collection.source, dict(list(SCENES.items())[:3]))
    run_collection(collection, "run", project)
    before = everything(store, project)
    assert sum("_resample" in uri for uri in before) == 3
    for attempt in (
        lambda: list_images(collection, "run", second),
        lambda: list_images(collection, "run", second, dry_run=True),
        lambda: run_collection(collection, "other", second),
        lambda: plan_switch(collection, collection.model, "switch", second),
        lambda: remove_deleted(Kept(collection, listed=True), second),
        lambda: remove_deleted(Kept(collection, listed=True), second, dry_run=True),
    ):
        with pytest.raises(UserError, match=ANOTHERS):
            attempt()
    assert everything(store, project) == before

    monkeypatch.setenv("IMAGE_RETRIEVAL_DATABASE_URL", second.database())
    assert "taken over from another project" in command("take-over").stdout
    assert run_collection(collection, "other", second)["state"] == "success"
    with pytest.raises(UserError, match=ANOTHERS):
        finish_run(collection, "run", project)


def test_a_folder_without_a_mark_is_adopted_and_a_dry_run_leaves_none(project, collection, store):
    put(store, collection.source, dict(list(SCENES.items())[:1]))
    mark = work_place(project).mark_uri
    list_images(collection, "dry", project, dry_run=True)
    assert not store.exists(mark)
    list_images(collection, "run", project)
    with connect(project) as connection:
        known = connection.execute("SELECT id::text FROM retrieval.project").fetchone()
    assert json.loads(store.read(mark)) == {"project": known["id"]}


@pytest.mark.parametrize("mark", [b"", b"{", b"[]", b'{"project": ', b"\xff"])
def test_a_mark_that_tells_nothing_is_told_and_can_be_taken_over(project, collection, store, command, mark):
    place = work_place(project)
    store.write(place.mark_uri, mark)
    with pytest.raises(UserError, match="does not name the folder's project"):
        list_images(collection, "run", project)
    assert command("take-over").returncode == 0
    assert list_images(collection, "run", project).listed == 0


def test_pictures_of_collections_made_through_the_api_are_one_projects_alone(project, second, collection, store):
    own = project.model_copy(update={"service_source_uri": f"{project.work_uri}made/"})
    theirs = second.model_copy(
        update={"service_source_uri": own.service_source_uri, "work_uri": f"{project.work_uri}second/"}
    )
    made = collection.model_copy(update={"name": "made", "source": f"{own.service_source_uri}made/"})
    with connect(own) as connection:
        make_collection(connection, made, own)
    assert store.exists(pictures_place(own).mark_uri)
    with (
        pytest.raises(UserError, match=r"SERVICE_SOURCE_URI .* belongs to another project"),
        connect(theirs) as it,
    ):
        make_collection(it, made, theirs)


def test_a_work_folder_that_is_seen_in_a_source_by_another_name_is_told(project, collection, store):
    """A bucket has other names in some stores, and a folder on some machines: no comparison of names finds these."""
    put(store, collection.source, dict(list(SCENES.items())[:1]))
    elsewhere = project.model_copy(update={"work_uri": f"{collection.source}deep/"})
    with connect(project) as connection:
        require_own(connection, work_place(elsewhere), store)
    with pytest.raises(UserError, match="a work folder lies inside the source of 'things', at s3://"):
        list_images(collection, "run", project)


@pytest.mark.parametrize("place", ["store", "folder"])
def test_of_many_first_writers_one_has_written(project, tmp_path, place):
    uri = f"{project.work_uri}mark.json" if place == "store" else f"file://{tmp_path}/new/folder/mark.json"
    together = threading.Barrier(8)

    def write(number):
        store = ObjectStore(project)
        store.exists(uri)  # the connection is there
        together.wait()
        return store.create(uri, b"%d" % number)

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(8)))
    store = ObjectStore(project)
    assert written.count(True) == 1
    assert store.read(uri) == b"%d" % written.index(True)
    assert store.create(uri, b"late") is False
    folder = uri.rpartition("/")[0] + "/"
    assert [entry.key for page in store.pages(folder) for entry in page] == ["mark.json"]


def test_each_database_has_an_id_of_its_own(second, database_url):
    ids = {rows(url, "SELECT id FROM retrieval.project")[0] for url in (database_url, second.database())}
    assert len(ids) == 2
    with pytest.raises(psycopg.errors.UniqueViolation):
        rows(database_url, "INSERT INTO retrieval.project DEFAULT VALUES RETURNING 1")
