"""PostgreSQL is killed while it builds an index: after its restart the next task makes it good."""

import signal
import threading
from contextlib import closing, suppress

import psutil
import psycopg
import pytest

from image_retrieval.errors import Unavailable
from image_retrieval.local import services
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.search import search
from integration.gates import wait_for
from integration.random_vectors import fill
from integration.tables import INDEX, INDEXES, rows

ROWS = 3000


@pytest.fixture
def own_server(tmp_path, project):
    """A PostgreSQL that no other test uses; its folder, and settings that name it."""
    folder = tmp_path / "own"
    services.up(folder, lambda line: None)
    url = services.database_url(folder, services.DATABASE)
    yield folder, project.model_copy(update={"database_url": type(project.database_url)(url), "index_from_rows": 1})
    services.down(folder, lambda line: None)


def kill_server(url):
    """Kill the server and all its processes, as a machine that loses its power does."""
    [(pid,)] = rows(url, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer")
    server = psutil.Process(pid)
    family = [server, *server.children(recursive=True)]
    for process in family:
        with suppress(psutil.NoSuchProcess):  # which end by themselves once the first is dead
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=60)


@pytest.mark.slow
def test_an_index_build_whose_server_is_killed_is_made_good(own_server, collection):
    folder, settings = own_server
    url = settings.database()
    vectors = fill(settings, collection, ROWS)
    failures = []

    def build():
        try:
            ensure_index(collection, settings)
        except Unavailable as error:
            failures.append(error)

    with closing(psycopg.connect(url)) as older:  # the build waits for it, its index there and not valid
        older.execute("SELECT FROM retrieval.vector_things_random LIMIT 1")
        older.execute("LOCK TABLE retrieval.vector_things_random IN ROW EXCLUSIVE MODE")
        thread = threading.Thread(target=build)
        thread.start()
        wait_for(lambda: rows(url, INDEXES) == [(f"{INDEX}2", "halfvec_cosine_ops", False)])
        kill_server(url)
        thread.join(timeout=60)
    assert len(failures) == 1
    assert services.up(folder, lambda line: None) == ["postgres"]
    assert rows(url, INDEXES) == [(f"{INDEX}2", "halfvec_cosine_ops", False)]
    assert ensure_index(collection, settings).action == "build"
    assert rows(url, INDEXES) == [(INDEX, "halfvec_cosine_ops", True)]
    with connect(settings) as connection:
        assert search(connection, "things", vectors[7], 1)[0]["image_id"] == "7"
        assert len(search(connection, "things", vectors[7], 10)) == 10
