"""The most frequent search has a function that knows every collection, and stays in step with them."""

import os
import threading

import psycopg
import pytest

from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.search import search
from integration.random_vectors import fill, similarities
from integration.tables import rows

ROWS = 1000
ADD = "INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES (%(name)s, 's3://y/', 'random', 16)"
NOTE = (
    "INSERT INTO retrieval.vector_index (vectors, rows, seconds, operator_class) "
    "VALUES ('vector_' || %(name)s || '_random', 0, 0, 'halfvec_cosine_ops')"
)


@pytest.fixture
def vectors(project, collection):
    return fill(project, collection, ROWS)


@pytest.fixture
def indexed(vectors, project, collection):
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    return vectors


@pytest.fixture
def found(database_url):
    """How many rows the shortcut finds for a vector; None where it leaves the search to the longer way."""

    def ask(vector, k=10, name="things"):
        query = "SELECT cardinality(retrieval.shortcut(%s, %s::halfvec, %s))"
        return rows(database_url, query, name, str(vector.tolist()), k)[0][0]

    return ask


def best(vectors, query, k=10):
    return {str(number) for number in (-similarities(vectors, query)).argsort()[:k]}


def test_it_is_for_what_a_collection_shows_by_an_index(indexed, found, project):
    assert found(indexed[0]) == 10
    assert [found(indexed[0], k) for k in (0, 1, 1001)] == [None, 1, None]
    assert found(indexed[0][:8]) is None
    assert found(indexed[0], name="others") is None
    with connect(project) as connection:
        assert {hit["image_id"] for hit in search(connection, "things", indexed[0], 10)} == best(indexed, indexed[0])


def test_without_an_index_or_with_one_for_another_distance_it_is_not_taken(vectors, found, project, collection):
    assert found(vectors[0]) is None
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    assert found(vectors[0]) == 10
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.collection SET distance = 'l2'")
    assert found(vectors[0]) is None


def test_it_takes_up_what_the_recall_monitor_sets(indexed, database_url):
    query = "SELECT count(*) FROM pg_proc WHERE proname = 'shortcut' AND prosrc LIKE '%%greatest(350, %%'"
    assert rows(database_url, query) == [(0,)]
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.collection SET ef_search = 350")
    assert rows(database_url, query) == [(1,)]


def test_what_changes_nothing_leaves_it_as_it_is(indexed, database_url):
    query = "SELECT xmin::text FROM pg_proc WHERE proname = 'shortcut'"
    before = rows(database_url, query)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE retrieval.collection SET ef_search = ef_search; DELETE FROM retrieval.vector_index WHERE false"
        )
    assert rows(database_url, query) == before


def test_more_collections_than_it_holds_are_searched_too(indexed, found, project):
    with connect(project) as connection:
        for number in range(100):
            connection.execute(ADD, {"name": f"c{number:03}"})
            connection.execute(NOTE, {"name": f"c{number:03}"})
    assert found(indexed[0]) is None
    with connect(project) as connection:
        assert {hit["image_id"] for hit in search(connection, "things", indexed[0], 10)} == best(indexed, indexed[0])
        connection.execute("DELETE FROM retrieval.collection WHERE name = 'c000'")
    assert found(indexed[0]) == 10


def test_collections_that_come_at_once_are_all_in_it(indexed, database_url):
    def add(name):
        with psycopg.connect(database_url) as connection:
            connection.execute(NOTE, {"name": name})
            connection.execute(ADD, {"name": name})

    with psycopg.connect(database_url) as first:
        first.execute(NOTE, {"name": "a"})
        first.execute(ADD, {"name": "a"})
        others = [threading.Thread(target=add, args=(name,)) for name in ("b", "c")]
        for other in others:
            other.start()
        others[0].join(timeout=1)
        assert others[0].is_alive()  # until the first has ended
    for other in others:
        other.join(timeout=30)
    [(body,)] = rows(database_url, "SELECT prosrc FROM pg_proc WHERE proname = 'shortcut'")
    assert [name for name in ("a", "b", "c", "things") if f"collection = '{name}'" in body] == ["a", "b", "c", "things"]


@pytest.fixture
def searcher(database_url):
    """A role that may search nothing yet."""
    name = f"searcher_{os.getpid()}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name}; GRANT USAGE ON SCHEMA images, retrieval TO {name}".encode())
        connection.execute(f"GRANT SELECT ON retrieval.collection TO {name}".encode())
        yield name
        connection.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.mark.parametrize("with_index", [False, True])
def test_it_searches_for_those_who_may_read_the_view_alone(
    vectors, searcher, project, collection, database_url, with_index
):
    if with_index:
        ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    ask = "SELECT count(*) FROM images.search('things', %s::halfvec, 10)"
    with psycopg.connect(database_url) as connection:
        connection.execute(f"GRANT SELECT ON images.things TO {searcher}; SET LOCAL ROLE {searcher}".encode())
        assert connection.execute(ask, [str(vectors[0].tolist())]).fetchone() == (10,)
        connection.rollback()
        connection.execute(f"SET LOCAL ROLE {searcher}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for view"):
            connection.execute(ask, [str(vectors[0].tolist())])
