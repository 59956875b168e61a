"""Objects and rows change together: what a kill between them leaves is taken back or carried out."""

import multiprocessing
import signal
from hashlib import sha256

import pytest

from image_retrieval.errors import Dropped
from image_retrieval.imaging.resample import Resampled
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.names import pictures_folder
from image_retrieval.pipeline.pending import former_folder, settle, settle_all
from image_retrieval.pipeline.registering import Picture, delete_image, make_collection, register_image
from image_retrieval.store.connection import connect
from image_retrieval.store.failures import Locked
from integration.gates import a_gate, wait_for
from integration.pictures import put
from integration.refusing import refusing_store
from integration.tables import rows

OBJECT, KEPT = "a/b.png", "a/b_resample.png"


@pytest.fixture
def made(collection, project):
    """The collection, empty."""
    with connect(project) as connection:
        make_collection(connection, collection, project)
    return collection


@pytest.fixture
def register(made, project):
    """Register a picture of these bytes, in one transaction."""

    def register(data, settings=project, image_id="a/b"):
        found = Resampled(pixels=b"", sha256=sha256(data).hexdigest(), width=8, height=8, format="PNG", mode="RGB",
                          phash=1, captured_at=None, colours="red", sharpness=1.0, complexity=0.5)  # fmt: skip
        [(dimensions,)] = rows(settings.database(), "SELECT dimensions FROM retrieval.model")
        vector = [1.0] + [0.0] * (dimensions - 1)
        with connect(settings) as connection:
            picture = Picture(data, found, b"resampled " + data, vector, "digest")
            register_image(connection, made, image_id, picture, (None, None), settings)

    return register


@pytest.fixture
def objects(made, project, store):
    """What lies under the source, among the kept pictures, and among the copies."""

    def objects():
        places = [made.source, pictures_folder(made.name, project), former_folder(project.work_uri, made.name)]
        return [{e.key: store.read(e.uri) for page in store.pages(uri) for e in page} for uri in places]

    return objects


def pending(url):
    return rows(url, "SELECT kind FROM retrieval.pending")


def killed_at(event, url, work):
    """Do some work in a process of its own, and kill that at a gate."""
    with a_gate(url, event) as is_reached:
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        wait_for(is_reached)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        process.close()


def test_a_registration_that_is_killed_leaves_no_object(register, objects, made, project, database_url):
    killed_at(f"INSERT ON retrieval.{made.vector_table}", database_url, lambda: register(b"first"))
    originals, pictures, copies = objects()
    assert (originals, copies) == ({OBJECT: b"first"}, {})
    assert settle_all(project) == []
    assert objects() == [{}, pictures, {}]  # the next upkeep finds the picture among the orphans
    assert pending(database_url) == []
    register(b"second")
    assert objects() == [{OBJECT: b"second"}, {KEPT: b"resampled second"}, {}]
    assert pending(database_url) == []


@pytest.mark.parametrize("broken", ["killed", "lock"])
def test_a_replacement_that_does_not_come_through_gives_the_former_picture_back(
    broken, register, objects, project, database_url
):
    register(b"first")
    before, facts = objects(), rows(database_url, "SELECT sha256, etag FROM retrieval.image")
    if broken == "killed":
        killed_at("UPDATE ON retrieval.image", database_url, lambda: register(b"second"))
    else:
        with a_gate(database_url, "UPDATE ON retrieval.image"), pytest.raises(Locked):  # in its middle
            register(b"second")
    assert objects()[:2] == [{OBJECT: b"second"}, {KEPT: b"resampled second"}]
    assert len(objects()[2]) == 2
    assert rows(database_url, "SELECT sha256, etag FROM retrieval.image") == facts
    assert settle("things", project) == []
    assert objects() == before
    assert pending(database_url) == []


def test_a_replacement_that_came_through_stays_when_it_is_killed_before_the_copies_go(
    register, objects, project, database_url
):
    register(b"first")
    register(b"second")
    assert sorted(pending(database_url)) == [("delete",), ("delete",)]
    assert len(objects()[2]) == 2
    assert settle("things", project) == []
    assert objects() == [{OBJECT: b"second"}, {KEPT: b"resampled second"}, {}]


def test_a_deletion_that_is_rolled_back_deletes_nothing(register, objects, made, project, database_url):
    register(b"first")
    register(b"other", image_id="c")
    with connect(project) as connection:  # the second must not take the first for one that was broken off
        assert delete_image(connection, made, "a/b", project)
        assert delete_image(connection, made, "c", project)
        connection.rollback()
    assert settle("things", project) == []
    assert objects()[0] == {OBJECT: b"first", "c.png": b"other"}
    assert rows(database_url, "SELECT DISTINCT deleted FROM retrieval.image") == [(None,)]


def test_a_deletion_that_is_killed_is_carried_out_by_the_next_listing(
    register, objects, made, project, database_url, change_collection
):
    register(b"first")
    with connect(project) as connection:  # and there it is killed
        assert delete_image(connection, made, "a/b", project)
    assert objects()[0] == {OBJECT: b"first"}
    plan = list_images(change_collection(deletion_limit=1), "next", project)
    assert (plan.listed, plan.restored, objects()[0]) == (0, 0, {})
    with connect(project) as connection:
        assert not delete_image(connection, made, "a/b", project)


def test_a_picture_that_is_put_there_again_is_not_what_was_to_be_deleted(register, objects, made, project, store):
    register(b"first")
    with connect(project) as connection:
        delete_image(connection, made, "a/b", project)
    put(store, made.source, {OBJECT: b"again"})
    assert settle("things", project) == []
    assert objects()[0] == {OBJECT: b"again"}


def test_an_object_that_the_store_refuses_to_delete_is_tried_again(register, objects, made, project, database_url):
    register(b"first")
    with refusing_store(project, {OBJECT}) as refused:
        with connect(refused) as connection:
            assert delete_image(connection, made, "a/b", refused)
        assert settle("things", refused) == [made.source + OBJECT]
        with connect(refused) as connection:
            assert delete_image(connection, made, "a/b", refused)  # as the one who asks again expects
    assert settle_all(project) == []
    assert (objects()[0], pending(database_url)) == ({}, [])


def test_a_registration_into_a_dropped_collection_is_refused_and_writes_nothing(register, objects, made, project):
    [(dimensions,)] = rows(project.database(), "SELECT dimensions FROM retrieval.model")
    assert dimensions
    drop_collection("things", project)
    with pytest.raises(Dropped, match="was dropped meanwhile"):
        register(b"late")
    assert objects() == [{}, {}, {}]
