"""Deletions, duplicates and the upkeep while a collection goes to another model, and after it."""

import threading

import psycopg
import pytest
from random_weights import save_random_dinov2

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.pipeline.models_in_use import drop_expired_vectors
from image_retrieval.pipeline.removing import remove_expired
from image_retrieval.pipeline.running import run_collection, run_shards
from image_retrieval.pipeline.switching import (
    Uncovered,
    check_switch,
    complete_switch,
    plan_switch,
    roll_back,
    switch_collection,
)
from image_retrieval.pipeline.upkeep import kept_collections
from image_retrieval.store.connection import connect
from image_retrieval.store.duplicates import count_waiting, find_duplicates, list_pairs, set_verdict
from integration.gates import a_gate, wait_for
from integration.pictures import FIRST, LATER, half_size_copy, put
from integration.tables import OTHER, VECTORS, rows, shown_is_one_models

NAMES = list(FIRST)
COPY = "small/copy.jpg"


@pytest.fixture
def other(tmp_path):
    """A model of the same shape and other weights."""
    save_random_dinov2(tmp_path / "other", seed=1)
    return ModelOptions(name="other", source=str(tmp_path / "other"), batch_size=16)


@pytest.fixture
def filled(project, collection, store):
    put(store, collection.source, FIRST)
    run_collection(collection, "first", project)
    return collection


@pytest.fixture
def at_once(project):
    """The project's settings, without a time of grace."""
    return project.model_copy(update={"deleted_grace_days": 0.0})


@pytest.fixture
def expired(filled, other, project, database_url):
    """The collection under another model; the time of its former vectors is over."""
    switch_collection(filled, other, "go", project)
    for column, table in (("ended_at", "switch"), ("started_at", "run")):
        query = f"UPDATE retrieval.{table} SET {column} = {column} - interval '8 days' RETURNING 1"
        rows(database_url, query)
    return filled


def test_images_that_are_deleted_while_a_switch_is_open_go_from_both_models(
    filled, other, project, at_once, store, database_url
):
    plan_switch(filled, other, "go", project)
    store.delete([filled.source + key for key in NAMES[:2]])
    put(store, filled.source, LATER)
    assert run_collection(filled, "second", project)["gone"] == 2
    assert remove_expired(filled, at_once) == 2
    run_shards(filled, "go", project)  # planned with the two
    gone_late = next(iter(LATER))  # has vectors of both models
    store.delete([filled.source + gone_late])
    run_collection(filled, "third", project)
    assert remove_expired(filled, at_once) == 1
    for table in (VECTORS, OTHER):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(13,)]
    assert check_switch(filled, "other", project)["covered"] == 13
    complete_switch(filled, "other", project)
    assert shown_is_one_models(database_url) == (13, 13)


def test_an_image_that_is_restored_while_a_switch_is_open_keeps_the_view_from_being_replaced(
    filled, other, project, store, database_url
):
    store.delete([filled.source + NAMES[0]])
    run_collection(filled, "second", project)
    plan_switch(filled, other, "go", project)
    run_shards(filled, "go", project)
    put(store, filled.source, {NAMES[0]: FIRST[NAMES[0]]})
    found = run_collection(filled, "third", project)
    assert (found["restored"], found["new"]) == (1, 0)
    with pytest.raises(Uncovered, match="1 of 12 images"):
        complete_switch(filled, "other", project)
    switch_collection(filled, other, "again", project)
    assert shown_is_one_models(database_url) == (12, 12)


def test_a_removal_waits_for_a_shard_of_a_switch(filled, other, project, at_once, store, database_url):
    plan_switch(filled, other, "go", project)
    store.delete([filled.source + NAMES[0]])
    run_collection(filled, "second", project)
    failures, removed = [], []

    def load():
        try:
            run_shards(filled, "go", project)
        except UserError as error:
            failures.append(error)

    def remove():
        try:
            removed.append(remove_expired(filled, at_once))
        except UserError as error:
            failures.append(error)

    threads = [threading.Thread(target=load), threading.Thread(target=remove)]
    with a_gate(database_url, "UPDATE ON retrieval.model") as is_reached:  # the shard has locked its images
        threads[0].start()
        wait_for(is_reached)
        threads[1].start()
        wait_for(lambda: len(rows(database_url, "SELECT FROM pg_locks WHERE NOT granted")) == 2)
    for thread in threads:
        thread.join(timeout=60)
    assert (failures, removed) == ([], [1])
    for table in (VECTORS, OTHER):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(11,)]


def test_removals_take_vectors_that_a_switch_keeps(filled, other, project, at_once, store, database_url):
    switch_collection(filled, other, "go", project)
    store.delete([filled.source + NAMES[0]])
    run_collection(filled, "second", project)
    assert remove_expired(filled, at_once) == 1
    for table in (VECTORS, OTHER):
        assert rows(database_url, f"SELECT count(*) FROM {table}") == [(11,)]
    roll_back(filled, project)
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(11,)]


def test_duplicates_are_those_of_the_model_that_is_shown(filled, other, project, store, database_url):
    put(store, filled.source, {COPY: half_size_copy(FIRST[NAMES[0]])})
    run_collection(filled, "second", project)
    pair = (NAMES[0].rpartition(".")[0], COPY.rpartition(".")[0])

    def similarities():
        query = (
            "SELECT d.similarity, 1 - (a.embedding <=> b.embedding) FROM images.duplicates AS d "
            "JOIN images.things AS a ON a.image_id = d.a JOIN images.things AS b ON b.image_id = d.b "
            "WHERE d.tier <> 'bytes' ORDER BY d.a, d.b"
        )
        return rows(database_url, query)

    def verdicts():
        with connect(project) as connection:
            found = list_pairs(connection, "things", "picture", decided=True, limit=99)
        return [(found["a"], found["b"], found["verdict"]) for found in found]

    assert find_duplicates(filled, project)["compared"] == 13
    with connect(project) as connection:
        set_verdict(connection, "things", *pair, "different", "ann")
    first = similarities()
    assert verdicts() == [(*pair, "different")]
    switch_collection(filled, other, "go", project)
    with connect(project) as connection:
        assert count_waiting(connection, "things", "other") == 13
    assert find_duplicates(filled, project)["compared"] == 13
    with connect(project) as connection:
        assert count_waiting(connection, "things", "other") == 0
    second = similarities()
    assert first != second
    for told, computed in first + second:
        assert told == pytest.approx(computed)
    assert verdicts() == [(*pair, "different")]
    assert find_duplicates(filled, project)["compared"] == 0
    roll_back(filled, project)
    assert find_duplicates(filled, project)["compared"] == 13
    assert similarities() == first


def test_the_upkeep_drops_former_vectors_and_goes_on_with_the_model_that_is_shown(
    expired, project, report, database_url
):
    assert report("upkeep", "things", "--dry-run")["dropped"] == ["vector_things_random"]
    done = report("upkeep", "things")
    assert (done["dropped"], done["orphans"]["pictures"]) == (["vector_things_random"], 0)
    assert "exact scan: 12 vectors" in done["index"]
    assert done["duplicates"]["compared"] == 12
    assert rows(database_url, "SELECT to_regclass(%s)", VECTORS) == [(None,)]
    assert {name: kept.collection.model.name for name, kept in kept_collections(project).items()} == {"things": "other"}
    assert report("upkeep", "things")["dropped"] == []
    assert run_collection(expired, "second", project)["new"] == 0
    assert shown_is_one_models(database_url) == (12, 12)


def test_searches_go_on_while_vectors_wait_to_be_dropped(expired, project, database_url):
    dropped = []
    thread = threading.Thread(target=lambda: dropped.append(drop_expired_vectors(project)))
    waiting = "SELECT FROM pg_locks WHERE relation = 'retrieval.image'::regclass AND NOT granted"
    with psycopg.connect(database_url) as reader, psycopg.connect(database_url) as searcher:
        reader.execute("SELECT FROM retrieval.image LIMIT 1")
        thread.start()
        wait_for(lambda: bool(rows(database_url, waiting)))
        searcher.execute("SET statement_timeout = '10s'")
        query = "SELECT FROM images.search('things', (SELECT embedding FROM images.things LIMIT 1))"
        assert len(searcher.execute(query).fetchall()) == 10
        assert dropped == []
    thread.join(timeout=60)
    assert dropped == [["vector_things_random"]]
