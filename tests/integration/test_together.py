"""Two at once: runs of one collection, and a run beside registrations, end in tables without lost or doubled rows."""

import threading
import time

import psycopg
import pytest

from image_retrieval.imaging.decoders import Decoders
from image_retrieval.pipeline.registering import Picture, delete_image, register_image
from image_retrieval.pipeline.running import run_collection
from image_retrieval.store.connection import connect
from image_retrieval.store.failures import Locked
from integration.gates import GATES, a_gate, wait_for
from integration.pictures import BAD, SCENES, put
from integration.tables import VECTORS, contents, rows

WAITING = "SELECT FROM pg_locks WHERE NOT granted AND locktype <> 'advisory' AND database IS NULL"
NAMES = list(SCENES)


@pytest.fixture
def filled(store, collection):
    put(
        store, collection.source, {key: SCENES[key] for key in NAMES[:12]} | {key: bad for key, (bad, _) in BAD.items()}
    )


@pytest.fixture
def beside(collection, project):
    """Start a run beside the test; returns its thread and a list for its report."""

    def start(run_id):
        reports = []
        thread = threading.Thread(target=lambda: reports.append(run_collection(collection, run_id, project)))
        thread.start()
        return thread, reports

    return start


def test_two_runs_at_once_end_as_one(filled, beside, collection, project, database_url):
    run_collection(collection, "alone", project)
    expected = contents(database_url)
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE retrieval.image, retrieval.rejected, retrieval.run, retrieval.collection CASCADE")
    with a_gate(database_url, GATES["upsert"]) as is_reached:
        first, of_first = beside("first")
        wait_for(is_reached)  # its vectors are written and not committed
        second, of_second = beside("second")
        wait_for(lambda: bool(rows(database_url, WAITING)))  # at the first one's vectors
    for thread in (first, second):
        thread.join(timeout=120)
    [one], [other] = of_first, of_second
    assert (one["state"], other["state"]) == ("success", "success")
    assert (one["upserted"], other["upserted"]) == (12, 0)
    assert (one["rejected"], other["rejected"]) == (3, 3)
    found = contents(database_url)
    assert found["images"] == expected["images"]
    assert found["view"] == expected["view"]
    assert [row[:4] for row in found["rejected"]] == [row[:4] for row in expected["rejected"]]


def test_a_run_and_registrations_at_once_lose_and_double_nothing(
    filled, beside, collection, project, store, database_url
):
    run_collection(collection, "before", project)
    put(store, collection.source, {key: SCENES[key] for key in NAMES[12:18]})
    listed, deleted = (name.rpartition(".")[0] for name in NAMES[12:14])

    def picture(key):
        options = collection.resample.of_size((224, 224))
        with Decoders(options, project) as decoders:
            found, file = decoders.resample(SCENES[key])
        query = f"SELECT m.digest, v.embedding::text FROM retrieval.model AS m, {VECTORS} AS v LIMIT 1"
        [(digest, vector)] = rows(database_url, query)
        return Picture(SCENES[key], found, file, [float(value) for value in vector[1:-1].split(",")], digest)

    def register(image_id, key):
        taken = picture(key)
        with connect(project) as connection:
            return register_image(connection, collection, image_id, taken, (None, None), project)

    def insist(change):
        end = time.monotonic() + 90
        while True:  # a service answers 503 meanwhile, and its client tries again
            try:
                return change()
            except Locked:
                assert time.monotonic() < end

    def delete():
        with connect(project) as connection:
            return delete_image(connection, collection, deleted, project)

    with a_gate(database_url, GATES["upsert"]) as is_reached:
        thread, reports = beside("beside")
        wait_for(is_reached)  # the new images are written and not committed
        assert register("by/hand", NAMES[18]) == "by/hand"
        others = [
            threading.Thread(target=insist, args=[change]) for change in (lambda: register(listed, NAMES[19]), delete)
        ]
        for other in others:
            other.start()
        wait_for(lambda: bool(rows(database_url, "SELECT FROM pg_locks WHERE NOT granted")))
    for other in (thread, *others):
        other.join(timeout=120)
    assert reports[0]["state"] == "success"
    run_collection(collection, "after", project)
    objects = {entry.uri: entry.etag for page in store.pages(collection.source) for entry in page}
    query = f"SELECT uri, v.etag FROM retrieval.image i JOIN {VECTORS} v USING (id) WHERE deleted IS NULL"
    found = rows(database_url, query)
    assert dict(found) == {uri: etag for uri, etag in objects.items() if "/bad/" not in uri}
    assert len(found) == 12 + 6 + 1 - 1
    assert rows(database_url, "SELECT image_id FROM retrieval.image WHERE deleted IS NOT NULL") == [(deleted,)]
    assert run_collection(collection, "last", project)["upserted"] == 0
