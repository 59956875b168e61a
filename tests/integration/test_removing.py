"""What is deleted in the bucket goes from the tables after its time of grace, and nothing else does."""

import threading

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from image_retrieval.errors import Unavailable
from image_retrieval.pipeline.listing import compare
from image_retrieval.pipeline.names import pictures_folder
from image_retrieval.pipeline.removing import BATCH, count_expired, find_orphans, remove_expired
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.upkeep import Kept, remove_deleted
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table
from integration.collections_as_left import fill
from integration.gates import wait_for
from integration.loaded_shards import load, shard
from integration.pictures import SCENES, put
from integration.refusing import refusing_store
from integration.tables import VECTORS, contents, rows

FEW = dict(list(SCENES.items())[:6])
KEYS = ["a.jpg", "a.png", "b/c.jpg", "b/.d.jpg", "e.webp"]


@pytest.fixture
def at_once(project):
    """The project's settings, without a time of grace."""
    return project.model_copy(update={"deleted_grace_days": 0.0})


@pytest.fixture
def run(project, change_collection):
    entry = change_collection(deletion_limit=1.0)
    number = iter(range(100))
    return lambda: run_collection(entry, f"run {next(number)}", project)


def deleted(url):
    return {key for (key,) in rows(url, "SELECT image_id FROM retrieval.image WHERE deleted IS NOT NULL")}


def under(store, uri):
    return {entry.uri for page in store.pages(uri) for entry in page}


def test_a_deleted_image_goes_with_all_it_had_when_its_time_is_over(
    run, store, collection, project, at_once, database_url
):
    put(store, collection.source, FEW)
    run()
    with psycopg.connect(database_url) as connection:  # a former model's vectors
        connection.execute("INSERT INTO retrieval.vector_space (collection, model) VALUES ('things', 'former')")
        connection.execute(f"CREATE TABLE retrieval.vector_things_former (LIKE {VECTORS} INCLUDING ALL)")
        connection.execute("ALTER TABLE retrieval.vector_things_former ADD FOREIGN KEY (id) REFERENCES retrieval.image")
        connection.execute(f"INSERT INTO retrieval.vector_things_former SELECT * FROM {VECTORS}")
    gone, stays = list(FEW)[:2], list(FEW)[2:]
    pictures = dict(rows(database_url, "SELECT uri, resampled_uri FROM retrieval.image"))
    store.delete([collection.source + key for key in gone])
    run()
    assert count_expired(collection, project) == remove_expired(collection, project) == 0
    assert len(deleted(database_url)) == 2
    assert count_expired(collection, at_once) == remove_expired(collection, at_once) == 2
    for table in (VECTORS, "retrieval.vector_things_former", "retrieval.image"):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(4,)]
    kept = {pictures[collection.source + key] for key in stays}
    assert under(store, pictures_folder(collection.name, project)) == kept
    assert under(store, collection.source) == {collection.source + key for key in stays}
    assert remove_expired(collection, at_once) == 0


def test_what_comes_back_is_restored_or_new(run, store, collection, at_once, database_url):
    put(store, collection.source, FEW)
    run()
    before = contents(database_url)
    early, late = list(FEW)[:2]
    store.delete([collection.source + early, collection.source + late])
    run()
    put(store, collection.source, {early: FEW[early]})
    run()
    remove_expired(collection, at_once)
    put(store, collection.source, {late: FEW[late]})
    assert run()["new"] == 1
    remove_expired(collection, at_once)
    find_orphans(collection, at_once, remove=True)
    assert contents(database_url) == before
    pictures = rows(database_url, "SELECT resampled_image_path FROM images.things")
    assert all(store.exists(uri) for (uri,) in pictures)


def test_a_kill_before_the_pictures_go_leaves_orphans_that_go_later(
    run, store, collection, project, at_once, database_url, monkeypatch
):
    put(store, collection.source, FEW)
    run()
    store.delete([collection.source + key for key in list(FEW)[:2]])
    run()
    with monkeypatch.context() as patch:
        patch.setattr("image_retrieval.objects.ObjectStore.delete", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            remove_expired(collection, at_once)
    assert find_orphans(collection, project).pictures == 2
    assert find_orphans(collection, project, remove=True).pictures == 2
    assert find_orphans(collection, project).pictures == 0
    assert len(under(store, pictures_folder(collection.name, project))) == 4


def test_pictures_that_the_store_refuses_to_delete_are_counted_as_left(store, collection, at_once, database_url):
    fill(collection, at_once, store)
    store.delete([collection.source + f"{key}.jpg" for key in ("a", "b/c")])
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE image_id IN ('a', 'b/c') RETURNING 1")
    folder = pictures_folder(collection.name, at_once)
    put(store, folder, {"orphan_resample.png": b"orphan"})
    with refusing_store(at_once, {"/b/c_resample.png"}) as refusing:
        report = remove_deleted(Kept(collection, listed=True), refusing)
    assert (report["removed"], report["orphans"]["pictures"], report["orphans"]["pictures_left"]) == (2, 1, 1)
    assert under(store, folder) == {folder + name for name in ("b/c_resample.png", "b/d_resample.png")}
    assert find_orphans(collection, at_once, remove=True).pictures == 1
    assert under(store, folder) == {folder + "b/d_resample.png"}


def test_a_kill_before_the_rows_are_gone_changes_nothing(run, store, collection, at_once, database_url):
    put(store, collection.source, FEW)
    run()
    store.delete([collection.source + next(iter(FEW))])
    run()
    before = contents(database_url)
    failures = []

    def remove():
        try:
            remove_expired(collection, at_once)
        except Unavailable as error:
            failures.append(error)

    with psycopg.connect(database_url) as reader:  # whose lock the removal waits for, its vectors deleted already
        reader.execute("LOCK TABLE retrieval.image IN SHARE MODE")
        thread = threading.Thread(target=remove)
        thread.start()
        waiting = "FROM pg_locks WHERE relation = 'retrieval.image'::regclass AND NOT granted"
        wait_for(lambda: bool(rows(database_url, f"SELECT {waiting}")))
        rows(database_url, f"SELECT pg_terminate_backend(pid) {waiting}")
        thread.join(timeout=60)
    assert len(failures) == 1
    assert contents(database_url) == before
    assert remove_expired(collection, at_once) == 1


def test_orphans_of_every_kind_are_counted_and_ours_removed(run, store, collection, project, database_url):
    put(store, collection.source, FEW)
    run()
    folder = pictures_folder(collection.name, project)
    names = list(FEW)
    store.delete([collection.source + names[0]])
    put(store, collection.source, {"later.jpg": FEW[names[1]]})
    picture = rows(
        database_url, "SELECT resampled_uri FROM retrieval.image WHERE uri = %s", collection.source + names[2]
    )
    store.delete([picture[0][0]])
    put(store, folder, {"x/y_resample.png": b"orphan", "z_resample.webp": b"former suffix", "notes.txt": b"not ours"})
    found = find_orphans(collection, project, remove=True)
    assert (found.pictures, found.images_without_object, found.objects_without_image) == (2, 1, 1)
    assert (found.images_without_picture, found.vectors_without_image) == (1, 0)
    assert folder + "notes.txt" in under(store, folder)
    assert len(under(store, folder)) == 5 + 1
    assert len(under(store, collection.source)) == 6


def test_a_picture_whose_image_is_still_being_embedded_is_no_orphan(run, store, collection, project, database_url):
    """It is written before its row says so."""
    put(store, collection.source, {"x../y.jpg": FEW[next(iter(FEW))], "z.jpg": FEW[next(iter(FEW))]})
    run()
    rows(database_url, "UPDATE retrieval.image SET resampled_uri = NULL RETURNING 1")
    assert find_orphans(collection, project, remove=True).pictures == 0
    assert len(under(store, pictures_folder(collection.name, project))) == 2


def test_more_than_a_batch_goes(project, at_once, collection, database_url):
    with connect(project) as connection:
        ensure_vector_table(connection, collection, 3)
    query = (
        "INSERT INTO retrieval.image (collection, image_id, uri, deleted) "
        "SELECT 'things', i, i, now() - interval '1 day' FROM generate_series(1, %s) AS i RETURNING 1"
    )
    rows(database_url, query, 2 * BATCH + 1)
    assert remove_expired(collection, at_once) == 2 * BATCH + 1
    assert rows(database_url, "SELECT count(*) FROM retrieval.image") == [(0,)]


def test_a_shard_whose_image_was_removed_is_loaded_without_it(project, at_once, collection, database_url):
    with connect(project) as connection:
        ensure_vector_table(connection, collection, 3)
    query = (
        "INSERT INTO retrieval.image (collection, image_id, uri) "
        "SELECT 'things', i, i FROM generate_series(1, 3) AS i RETURNING id"
    )
    ids = [id for (id,) in rows(database_url, query)]
    rows(database_url, "UPDATE retrieval.image SET deleted = now() WHERE image_id = '2' RETURNING 1")
    part = shard(ids, dict.fromkeys(range(3), 1))
    assert remove_expired(collection, at_once) == 1
    assert load(project, collection, *part) == 2
    assert rows(database_url, f"SELECT id FROM {VECTORS} ORDER BY id") == [(ids[0],), (ids[2],)]


class Bucket(RuleBasedStateMachine):
    """Objects come, change, go and return, listed and removed at any time: the tables follow a simple model."""

    keys = st.sampled_from(KEYS)

    def __init__(self, project, collection, store, url):
        super().__init__()
        self.project, self.collection, self.store, self.url = project, collection, store, url
        self.at_once = project.model_copy(update={"deleted_grace_days": 0.0})

    @initialize()
    def empty(self):
        self.store.delete_under(self.collection.source)
        with psycopg.connect(self.url) as connection:
            connection.execute("TRUNCATE retrieval.image CASCADE")
        self.objects, self.live, self.marked = {}, {}, {}  # etag by key; etag listed last; images marked deleted

    @rule(key=keys, version=st.integers(1, 3))
    def write(self, key, version):
        self.store.write(self.collection.source + key, b"x" * version)
        self.objects[key] = version

    @rule(key=keys)
    def delete(self, key):
        self.store.delete([self.collection.source + key])
        self.objects.pop(key, None)

    @rule()
    def listed(self):
        with connect(self.project) as connection:
            found = compare(connection, self.collection, self.store, self.project)
            due = connection.execute("SELECT uri, id, etag FROM due").fetchall()
            for row in due:  # as an upsert would
                connection.execute(
                    f"INSERT INTO {VECTORS} (id, etag, embedding) VALUES (%(id)s, %(etag)s, '[1,0,0]') "
                    "ON CONFLICT (id) DO UPDATE SET etag = excluded.etag",
                    row,
                )
        gone = self.live.keys() - self.objects.keys()
        back = self.objects.keys() & self.marked.keys()
        known = self.live | self.marked
        new = {key for key in self.objects if key not in known}
        changed = {key for key in self.objects if known.get(key, self.objects[key]) != self.objects[key]}
        counts = {name: getattr(found, name) for name in ("listed", "gone", "restored", "new")}
        assert counts == {"listed": len(self.objects), "gone": len(gone), "restored": len(back), "new": len(new)}
        assert found.changed >= len(changed)  # written again alike: another etag where the store says so
        self.marked = {key: known[key] for key in known.keys() - self.objects.keys()}
        self.live = dict(self.objects)

    @rule()
    def removed(self):
        assert remove_expired(self.collection, self.at_once) == len(self.marked)
        self.marked = {}

    @rule()
    def kept_up_within_the_time_of_grace(self):
        assert remove_expired(self.collection, self.project) == 0

    @invariant()
    def tables_are_as_the_model(self):
        query = f"SELECT i.uri, i.deleted IS NULL FROM retrieval.image i JOIN {VECTORS} v USING (id)"
        source = len(self.collection.source)
        found = {uri[source:]: live for uri, live in rows(self.url, query)}
        assert found == dict.fromkeys(self.live, True) | dict.fromkeys(self.marked, False)


def test_bucket_and_table_stay_in_step(project, change_collection, store, database_url):
    entry = change_collection(deletion_limit=1.0)
    with connect(project) as connection:
        ensure_vector_table(connection, entry, 3)
    run_state_machine_as_test(
        lambda: Bucket(project, entry, store, database_url),
        settings=settings(
            max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
