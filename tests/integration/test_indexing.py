"""Indexes come about beside searches and loads, and what a broken build leaves does not stay."""

import threading
import time

import psycopg
import pytest
from structlog.testing import capture_logs

from image_retrieval.errors import Unavailable
from image_retrieval.store import indexing
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index, graph_bytes
from image_retrieval.store.recall import ensure_recall
from image_retrieval.store.search import search
from integration.random_vectors import fill
from integration.tables import INDEX, INDEXES, rows

ROWS = 3000


@pytest.fixture
def filled(project, collection):
    return fill(project, collection, ROWS)


@pytest.fixture
def eager(project):
    return project.model_copy(update={"index_from_rows": 1})


def test_a_small_table_gets_no_index_and_a_large_one_keeps_its_own(filled, project, eager, collection, database_url):
    assert ensure_index(collection, project).action == "scan"
    assert rows(database_url, INDEXES) == []
    assert ensure_index(collection, eager).action == "build"
    assert rows(database_url, INDEXES) == [(INDEX, "halfvec_cosine_ops", True)]
    assert rows(database_url, "SELECT vectors, rows FROM retrieval.vector_index") == [("vector_things_random", ROWS)]
    [before] = rows(database_url, "SELECT oid FROM pg_class WHERE relname = %s", INDEX)
    assert ensure_index(collection, eager).action == "keep"
    assert rows(database_url, "SELECT oid FROM pg_class WHERE relname = %s", INDEX) == [before]


def test_another_distance_and_signs_alone_take_the_index_place(
    filled, eager, collection, change_collection, database_url
):
    ensure_index(collection, eager)
    assert ensure_index(change_collection(distance="l2"), eager).action == "rebuild"
    assert rows(database_url, INDEXES) == [(INDEX, "halfvec_l2_ops", True)]
    assert ensure_index(change_collection(quantized=True), eager).action == "rebuild"
    assert rows(database_url, INDEXES) == [(INDEX, "bit_hamming_ops", True)]


def test_what_a_broken_build_or_swap_left_is_removed(filled, eager, collection, database_url):
    ensure_index(collection, eager)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for name in (f"{INDEX}1", f"{INDEX}2", "somebodys"):
            connection.execute(
                f"CREATE INDEX {name} ON retrieval.vector_things_random USING hnsw (embedding halfvec_l2_ops)".encode()
            )
        connection.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid IN (%s::regclass, %s::regclass)",
            (f"retrieval.{INDEX}2", "retrieval.somebodys"),
        )
    assert ensure_index(collection, eager).action == "keep"
    assert rows(database_url, INDEXES) == [(INDEX, "halfvec_cosine_ops", True)]


def test_a_build_that_ends_in_the_middle_is_made_good(filled, eager, collection, database_url):
    """Its backend is ended while it waits for an older transaction, with its index there and not valid."""
    with psycopg.connect(database_url) as older:
        older.execute("SELECT FROM retrieval.vector_things_random LIMIT 1")
        older.execute("LOCK TABLE retrieval.vector_things_random IN ROW EXCLUSIVE MODE")
        failures = []

        def build():
            try:
                ensure_index(collection, eager)
            except Unavailable as error:
                failures.append(error)

        thread = threading.Thread(target=build)
        thread.start()
        end = time.monotonic() + 60
        while not rows(database_url, INDEXES):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert rows(database_url, INDEXES) == [(f"{INDEX}2", "halfvec_cosine_ops", False)]
        rows(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index")
        thread.join(timeout=60)
    assert len(failures) == 1
    assert ensure_index(collection, eager).action == "build"
    assert rows(database_url, INDEXES) == [(INDEX, "halfvec_cosine_ops", True)]


def test_two_at_once_build_one_after_the_other(filled, eager, collection, database_url):
    plans = []
    threads = [threading.Thread(target=lambda: plans.append(ensure_index(collection, eager).action)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert sorted(plans) == ["build", "keep"]
    assert rows(database_url, INDEXES) == [(INDEX, "halfvec_cosine_ops", True)]


def test_progress_and_one_line_of_reason_are_logged(filled, eager, collection, monkeypatch):
    monkeypatch.setattr(indexing, "SECONDS_BETWEEN_REPORTS", 0.01)
    with capture_logs() as logs:
        plan = ensure_index(collection, eager)
    assert [line["plan"] for line in logs if line["event"] == "index"] == [plan.reason]
    assert any("phase" in line for line in logs if line["event"] == "index build")


def test_a_core_is_left_to_searches_that_another_index_answers_meanwhile(
    filled, eager, collection, change_collection, monkeypatch
):
    monkeypatch.setattr(indexing.os, "sched_getaffinity", lambda pid: {0, 1})
    assert ensure_index(collection, eager).workers == 1
    assert ensure_index(change_collection(distance="l2"), eager).workers == 0
    with connect(eager) as connection:  # as if this were the model that a switch brings in
        connection.execute(f"DROP INDEX retrieval.{INDEX}".encode())
        connection.execute(
            "INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) "
            "SELECT 'shown', source, family, dimensions, use_cls_token FROM retrieval.model WHERE name = 'random'"
        )
        connection.execute("UPDATE retrieval.collection SET model = 'shown'")
    assert ensure_index(collection, eager).workers == 0


def test_the_estimate_of_a_graph_is_what_pgvector_needs(filled, database_url):
    """With half of it, the graph no longer fits after about half of the rows; pgvector says after how many."""
    notices = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        connection.execute("SET max_parallel_maintenance_workers = 0; SET maintenance_work_mem = '1MB'")
        connection.execute(
            "CREATE INDEX ON retrieval.vector_things_random USING hnsw (embedding halfvec_cosine_ops) "
            "WITH (m = 16, ef_construction = 32)"
        )
    [fitted] = [int(notice.split()[-2]) for notice in notices if "no longer fits" in notice]
    assert graph_bytes(fitted, 16, "halfvec_cosine_ops") == pytest.approx(2**20, rel=0.1)


def test_recall_is_kept_and_ef_search_raised_until_it_holds(filled, eager, collection, database_url, project):
    assert ensure_recall(collection, project) is None
    ensure_index(collection, eager)
    rows(database_url, "SELECT 1")
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.collection SET ef_search = 10")
    found = ensure_recall(collection, project, seed=0)
    kept = rows(database_url, "SELECT ef_search, recall, target, rows FROM retrieval.recall ORDER BY measured_at")
    assert kept[-1][:2] == (found.ef_search, found.recall)
    assert found.recall >= 0.99
    assert all(recall < target for _, recall, target, _ in kept[:-1])
    assert rows(database_url, "SELECT ef_search FROM retrieval.collection") == [(found.ef_search,)]


def test_a_target_that_cannot_hold_is_warned_of(filled, eager, change_collection, project):
    signs_alone = change_collection(quantized=True, recall_target=1.0)
    ensure_index(signs_alone, eager)
    with capture_logs() as logs:
        found = ensure_recall(signs_alone, project, seed=0)
    assert found.ef_search == 1000
    assert [line["log_level"] for line in logs if "below its target" in line["event"]] == ["warning"]
    with connect(project) as connection:
        assert len(search(connection, "things", filled[0], 10)) == 10
