"""The most frequent search, of the best images without a filter, asks a function that each vector table has."""

import os

import psycopg
import pytest

from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from integration.random_vectors import fill, similarities

ROWS = 1000
ADD = "INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES (%(name)s, 's3://y/', 'random', 16)"


@pytest.fixture
def vectors(project, collection):
    return fill(project, collection, ROWS)


@pytest.fixture
def indexed(vectors, project, collection):
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    return vectors


@pytest.fixture
def found(database_url):
    """The images that are nearest to a vector, and how often the collection's own function was called for them."""

    def ask(vector, k=10):
        with psycopg.connect(database_url, options="-c track_functions=pl") as connection:
            query = "SELECT image_id FROM images.search('things', %s::halfvec, %s)"
            hits = {row[0] for row in connection.execute(query, [str(vector.tolist()), k])}
            calls = "SELECT pg_stat_get_xact_function_calls('retrieval.nearest_things_random'::regproc)"
            return hits, connection.execute(calls).fetchone()[0]

    return ask


@pytest.fixture
def lookups(database_url):
    """How often a search looked up the collection's view, as the frequent search does not."""

    def ask(vector, k=10):
        with psycopg.connect(database_url, options="-c track_functions=pl") as connection:
            connection.execute("SELECT FROM images.search('things', %s::halfvec, %s)", [str(vector.tolist()), k])
            calls = "SELECT pg_stat_get_xact_function_calls('retrieval.view_of(text, text)'::regprocedure)"
            return connection.execute(calls).fetchone()[0]

    return ask


def best(vectors, query, k=10):
    return {str(number) for number in (-similarities(vectors, query)).argsort()[:k]}


@pytest.mark.parametrize(("k", "calls"), [(1, 1), (10, 1), (1000, 1), (1001, None)])
def test_an_index_is_asked_by_the_collections_own_function(indexed, found, k, calls):
    assert found(indexed[0], k) == (best(indexed, indexed[0], k), calls)


@pytest.mark.parametrize(("k", "calls"), [(1, None), (1000, None), (1001, 1)])
def test_it_plans_no_query_through_the_view(indexed, lookups, k, calls):
    assert lookups(indexed[0], k) == calls


def test_without_an_index_or_with_one_for_another_distance_rows_are_compared(vectors, found, project, collection):
    expected = best(vectors, vectors[0])
    assert found(vectors[0]) == (expected, None)
    ensure_index(collection, project.model_copy(update={"index_from_rows": 1}))
    assert found(vectors[0]) == (expected, 1)
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.collection SET distance = 'l2'")
    assert found(vectors[0])[1] is None


def test_many_collections_are_searched_alike(indexed, found, project):
    with connect(project) as connection:
        for number in range(150):
            connection.execute(ADD, {"name": f"c{number:03}"})
    assert found(indexed[0]) == (best(indexed, indexed[0]), 1)


def test_the_index_keeps_as_many_candidates_as_the_recall_monitor_set(indexed, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.collection SET ef_search = 350")
        connection.execute(
            "CREATE OR REPLACE FUNCTION retrieval.nearest_things_random(query halfvec, k integer) "
            "RETURNS retrieval.result[] LANGUAGE sql "
            "RETURN ARRAY[ROW(current_setting('hnsw.ef_search'), 1, '', '', '', '', '', 1, 1, '{}')::retrieval.result]"
        )
        query = "SELECT image_id FROM images.search('things', %s::halfvec, 1)"
        assert connection.execute(query, [str(indexed[0].tolist())]).fetchone() == ("350",)


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
