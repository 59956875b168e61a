"""Through PgBouncer in transaction mode, where no two transactions need meet the same session of the server."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from pooler import PROGRAM, pooled
from pydantic import SecretStr

from image_retrieval import Client
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.upkeep import Kept, keep_index, refresh_duplicates, remove_deleted
from image_retrieval.service.state import READERS, Service
from image_retrieval.service.text_listener import Listener
from image_retrieval.store.connection import Pooled, connect, notifications
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.migrate import migrate
from image_retrieval.store.preparing import is_pooled
from image_retrieval.store.search import search, similar_to
from integration.pictures import SCENES, put
from integration.random_vectors import fill
from integration.tables import rows

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is missing (Debian: apt-get install pgbouncer)")
INDEXES = (
    "SELECT i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
    "WHERE strpos(c.relname, '_hnsw') > 0"
)


@pytest.fixture
def behind(project, database_url, tmp_path):
    """The project's settings with its database behind the pooler."""
    with psycopg.connect(database_url, autocommit=True) as connection:  # what a pooler may not be told of
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET search_path = ''".encode())
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = serializable".encode())
    with pooled(database_url, tmp_path) as url:
        yield project.model_copy(update={"database_url": SecretStr(url), "index_from_rows": 1})


def leftovers(settings, url):
    """What sessions of the server hold after all that: locks, or settings that the next client would meet."""
    with psycopg.connect(settings.database(), autocommit=True, prepare_threshold=None) as connection:
        found = connection.execute(
            "SELECT current_setting('statement_timeout'), current_setting('search_path'), current_user = session_user, "
            "(SELECT count(*) FROM pg_prepared_statements)"
        ).fetchone()
    return found, rows(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")


def test_a_whole_run_and_the_upkeep_go_through(behind, collection, store, database_url):
    migrate(behind)
    put(store, collection.source, SCENES)
    assert run_collection(collection, "first", behind)["state"] == "success"
    assert rows(database_url, INDEXES) == [(True,)]
    store.delete([collection.source + key for key in list(SCENES)[:2]])
    report = run_collection(collection, "second", behind, full=True)
    assert (report["state"], report["gone"], report["changed"]) == ("success", 2, 22)
    at_once = behind.model_copy(update={"deleted_grace_days": 0})
    assert remove_deleted(Kept(collection, listed=True), at_once)["removed"] == 2
    assert keep_index(Kept(collection, listed=True), behind)["index"]
    assert refresh_duplicates(Kept(collection, listed=True), behind)["compared"] == 22
    assert leftovers(behind, database_url) == (("0", '""', True, 0), [(0,)])


def test_an_index_is_built_and_built_anew(behind, collection, database_url):
    vectors = fill(behind, collection, 200)
    assert ensure_index(collection, behind).action == "build"
    rows(database_url, "UPDATE retrieval.vector_index SET rows = 10 RETURNING 1")
    assert ensure_index(collection, behind).action == "rebuild"
    assert ensure_index(collection, behind).action == "keep"
    assert rows(database_url, INDEXES) == [(True,)]
    with connect(behind, keep_limits=True) as connection:
        assert is_pooled(connection)
        assert search(connection, "things", vectors[7], 1)[0]["image_id"] == "7"
    other = collection.model_copy(update={"distance": "l2"})
    assert ensure_index(other, behind.model_copy(update={"index_from_rows": 1000})).action == "scan"
    assert rows(database_url, INDEXES) == []


def test_the_services_pool_answers_many_at_once(behind, collection, database_url):
    vectors = fill(behind, collection, 50)
    service = Service(behind)

    def ask(number):
        with service.statements() as connection:
            [first] = search(connection, "things", vectors[number], 1)
        with service.transaction() as connection:
            found = similar_to(connection, "things", str(number), 3, {"width": {"gte": 0}})
            connection.execute("UPDATE retrieval.image SET caption = 'x' WHERE image_id = %s", (str(number),))
            path = connection.execute("SHOW search_path").fetchone()
        return first["image_id"] == str(number) and len(found) == 3 and path["search_path"] == "pg_catalog, public"

    try:
        with ThreadPoolExecutor(2 * READERS) as threads:
            assert all(threads.map(ask, [*range(50)] * 4))
    finally:
        service.close()
    assert leftovers(behind, database_url) == (("0", '""', True, 0), [(0,)])


def test_the_python_client_answers_many_at_once(behind, collection, database_url):
    vectors = fill(behind, collection, 50)

    def ask(number):
        found = client.search("things", vector=vectors[number], k=3, filter={"created_at": {"gte": "2020-01-31"}})
        assert len(client.similar("things", str(number), k=2)) == 2
        return found[0].image_id == str(number) and len(found) == 3

    with Client(behind) as client, ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(50)))
    assert leftovers(behind, database_url) == (("0", '""', True, 0), [(0,)])


def test_notifications_need_the_server_itself(behind, project, capsys):
    with pytest.raises(Pooled, match=r"behind a pooler, .* names the server itself"), notifications(behind):
        pass
    listener = Listener(Service(behind))
    listener.start()
    listener._thread.join(timeout=30)  # it ends by itself, and says so
    assert not listener._thread.is_alive()
    with notifications(project) as connection:
        assert not is_pooled(connection)


def test_two_at_one_index_take_turns(behind, project, collection):
    fill(behind, collection, 100)
    build = partial(ensure_index, collection)
    eager = project.model_copy(update={"index_from_rows": 1})
    with ThreadPoolExecutor(2) as threads:  # one behind the pooler, one not
        plans = list(threads.map(build, [behind, eager]))
    assert sorted(plan.action for plan in plans) == ["build", "keep"]


def test_a_task_that_waits_for_an_index_holds_up_no_build(behind, collection, database_url):
    fill(behind, collection, 100)
    lock = "SELECT pg_advisory_lock(hashtextextended('image_retrieval:index:' || %s, 0))"
    with ThreadPoolExecutor(1) as threads, psycopg.connect(database_url, autocommit=True) as other:
        other.execute(lock, [collection.vector_table])
        waiting = threads.submit(ensure_index, collection, behind)
        time.sleep(1.5)  # until it has tried
        other.execute("SET statement_timeout = '20s'")
        other.execute("CREATE INDEX CONCURRENTLY ON retrieval.image (width)")
        other.execute("SELECT pg_advisory_unlock_all()")
        assert waiting.result().action == "build"
