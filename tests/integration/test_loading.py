"""A shard ends in the table the same way whatever was there before, and whoever loads beside it."""

import threading

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.store.connection import connect
from image_retrieval.store.loading import load_vectors
from image_retrieval.store.vector_tables import ensure_vector_table
from integration.loaded_shards import DIMENSIONS, load, shard, vector
from integration.tables import VECTORS, rows

IMAGES = 12
VERSIONS = st.dictionaries(st.integers(0, IMAGES - 1), st.integers(1, 3), max_size=IMAGES)


@pytest.fixture
def ids(project, collection, database_url):
    """Ids of images that have no vector yet."""
    with connect(project) as connection:
        ensure_vector_table(connection, collection, DIMENSIONS)
        for number in range(IMAGES):
            connection.execute(
                "INSERT INTO retrieval.image (collection, image_id, uri) VALUES ('things', %(id)s, %(id)s)",
                {"id": str(number)},
            )
    return [id for (id,) in rows(database_url, "SELECT id FROM retrieval.image ORDER BY id")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(loads=st.lists(VERSIONS, min_size=1, max_size=4))
def test_what_was_loaded_last_is_there_and_what_is_unchanged_is_not_written(
    project, collection, database_url, ids, loads
):
    with psycopg.connect(database_url) as connection:
        connection.execute(f"TRUNCATE {VECTORS}")
    there = {}
    for versions in loads:
        changed = {number for number, version in versions.items() if there.get(number) != version}
        before = dict(rows(database_url, f"SELECT id, xmin::text FROM {VECTORS}"))
        assert load(project, collection, *shard(ids, versions)) == len(changed)
        after = dict(rows(database_url, f"SELECT id, xmin::text FROM {VECTORS}"))
        assert {id for id in after if after[id] != before.get(id)} == {ids[number] for number in changed}
        there |= versions
        found = rows(database_url, f"SELECT id, etag, embedding::text FROM {VECTORS} ORDER BY id")
        assert [(id, etag, [float(value) for value in text[1:-1].split(",")]) for id, etag, text in found] == [
            (ids[number], f"v{there[number]}", vector(number, there[number])) for number in sorted(there)
        ]


def test_two_who_load_the_same_images_at_once_both_end_well(project, collection, database_url, ids):
    """The second one finds no vector, waits for the first one's to be committed, and then compares."""
    with connect(project) as first:
        assert load_vectors(first, collection, *shard(ids, {0: 1, 1: 1, 2: 1})) == 3
        written = []
        part = shard(ids, {1: 1, 2: 2, 3: 1})
        second = threading.Thread(target=lambda: written.append(load(project, collection, *part)))
        second.start()
        with psycopg.connect(database_url, autocommit=True) as watch:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            while watch.execute(waiting).fetchone() == (0,):
                assert second.is_alive()
    second.join(timeout=60)
    assert written == [2]
    found = rows(database_url, f"SELECT id, etag FROM {VECTORS} ORDER BY id")
    assert found == list(zip(ids[:4], ("v1", "v1", "v2", "v1"), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {} SET embedding = '[1,0,0]'",
        "UPDATE {} SET etag = 'v7'",
        "UPDATE {} SET digest = 7",
        "DELETE FROM {}",
        "UPDATE {} SET embedding = '[1,0,0]', digest = NULL",
    ],
)
def test_what_was_changed_behind_the_loading_is_repaired(project, collection, database_url, ids, change):
    part = shard(ids, {0: 1, 1: 1, 2: 1})
    assert load(project, collection, *part) == 3
    query = f"SELECT id, etag, digest, embedding::text FROM {VECTORS} ORDER BY id"
    before = rows(database_url, query)
    with psycopg.connect(database_url) as connection:
        connection.execute(change.format(VECTORS) + f" WHERE id = {ids[1]}")
    assert load(project, collection, *part) == 1
    assert rows(database_url, query) == before


def test_loading_again_writes_no_row(project, collection, database_url, ids):
    part = shard(ids, dict.fromkeys(range(IMAGES), 1))
    query = (
        f"SELECT i.id, i.xmin::text, v.xmin::text FROM retrieval.image AS i JOIN {VECTORS} AS v USING (id) ORDER BY id"
    )
    load(project, collection, *part)
    before = rows(database_url, query)
    assert len(before) == IMAGES
    assert load(project, collection, *part) == 0
    assert rows(database_url, query) == before
