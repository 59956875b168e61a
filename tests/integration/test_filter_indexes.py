"""Filters that were slow get indexes where a collection allows it, and searches choose their way by what it costs."""

import operator
import os

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from image_retrieval.pipeline.upkeep import Kept, keep_index
from image_retrieval.store import costs, filter_indexes, filter_uses
from image_retrieval.store.connection import connect
from image_retrieval.store.costs import measure_costs
from image_retrieval.store.filter_indexes import ensure_filter_indexes
from image_retrieval.store.search import search
from image_retrieval.store.sql import statement
from integration.random_vectors import DIMENSIONS, fill, index, similarities
from integration.tables import rows

ROWS = 3000
WIDTH = {"width": {"lt": 10}}
KINDS = [WIDTH, {"attributes": {"colour": "red"}}, {"attributes": {"price": {"lt": 1}}}]
EVERY = ("image_filter_78a5eb43de_things", "image_filter_attributes_things", "image_filter_width_things")
QUERY = np.ones(DIMENSIONS, np.float32)


def facts(number):
    return {
        "width": number % 1000,
        "group_id": None if number % 4 == 0 else f"g{number % 50}",
        "attributes": {"colour": ("red", "blue")[number % 2], "price": number / 10 if number % 3 else "unknown"},
    }


def price(row):
    return row["attributes"]["price"] if row["attributes"]["price"] != "unknown" else None


SIGNS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
GROUPS = st.sampled_from(["g1", "g2", "g99"])
RANGES = st.tuples(st.sampled_from(sorted(SIGNS)), st.integers(-1, 320))


def ranged(sign, limit, value):
    return value is not None and SIGNS[sign](value, limit)


LEAVES = st.one_of(  # filters, each with what it means
    RANGES.map(lambda r: ({"width": {r[0]: r[1]}}, lambda row: ranged(*r, row["width"]))),
    st.lists(st.integers(0, 1000), max_size=3).map(lambda n: ({"width": {"any": n}}, lambda row: row["width"] in n)),
    RANGES.map(lambda r: ({"attributes": {"price": {r[0]: r[1]}}}, lambda row: ranged(*r, price(row)))),
    st.sampled_from(["red", "green"]).map(
        lambda c: ({"attributes": {"colour": c}}, lambda row: row["attributes"]["colour"] == c)
    ),
    (GROUPS | st.none()).map(lambda g: ({"group_id": g}, lambda row: row["group_id"] == g)),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda one: ({"not": one[0]}, lambda row: not one[1](row))),
        st.lists(inner, max_size=3).map(
            lambda some: ({"or": [f for f, _ in some]}, lambda row: any(holds(row) for _, holds in some))
        ),
        st.lists(inner, max_size=3).map(
            lambda some: ({"and": [f for f, _ in some]}, lambda row: all(holds(row) for _, holds in some))
        ),
    ),
    max_leaves=4,
)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(filter_uses, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(filter_uses, "SLOW", -1.0)
    monkeypatch.setattr(filter_uses, "_waiting", [])  # those of other tests wait for a minute
    monkeypatch.setattr(filter_uses, "_next", 0.0)


@pytest.fixture
def vectors(project, collection):
    found = fill(project, collection, ROWS, facts)
    index(project)
    return found


@pytest.fixture
def allowed(collection):
    return collection.model_copy(update={"filter_indexes": True})


@pytest.fixture
def eager(project):
    return project.model_copy(update={"index_from_rows": 1})


def use(project, *filters, times=filter_indexes.LEAST_SLOW):
    with connect(project) as connection:
        for filter in filters * times:
            search(connection, "things", QUERY, 3, filter)


def indexes(url):
    query = "SELECT relname FROM pg_class WHERE starts_with(relname, 'image_filter_') AND relkind = 'i' ORDER BY 1"
    return tuple(name for (name,) in rows(url, query))


def explained(url, filter, role=None):
    with psycopg.connect(url) as connection:
        register_vector(connection)
        if role:
            connection.execute(f"SET LOCAL ROLE {role}".encode())
        asked = [str(QUERY.tolist()), Jsonb(filter)]
        return dict(connection.execute("SELECT * FROM images.explain_search('things', %s, 3, %s)", asked).fetchall())


def test_indexes_are_proposed_then_made_where_they_may_be_then_dropped(
    vectors, project, eager, collection, allowed, database_url
):
    use(project, WIDTH, times=filter_indexes.LEAST_SLOW - 1)
    assert ensure_filter_indexes(allowed, eager) == []
    use(project, *KINDS)
    proposed = ensure_filter_indexes(collection, eager)
    assert len(proposed) == 3
    assert all("CREATE INDEX CONCURRENTLY image_filter_" in line for line in proposed)
    assert ensure_filter_indexes(allowed, project) == []  # a table so small needs none
    assert indexes(database_url) == ()
    report = keep_index(Kept(allowed, listed=True), eager)
    assert sorted(line.split()[1].rstrip(",") for line in report["filters"]) == sorted(EVERY)
    assert indexes(database_url) == EVERY
    assert ensure_filter_indexes(allowed, eager) == []
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.filter_index SET made_at = now() - interval '31 days'")
        connection.execute(
            "UPDATE retrieval.filter_use SET used_at = now() - interval '31 days' WHERE subject = 'width'"
        )
        connection.execute(
            "SELECT pg_stat_reset_single_table_counters('retrieval.image_filter_width_things'::regclass)"
        )
    assert ensure_filter_indexes(collection, eager) == [
        "dropped image_filter_width_things: no search has used it for 30 days"
    ]
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.collection SET name = 'others'; DELETE FROM retrieval.filter_use")
    assert {line.split(": ")[1] for line in ensure_filter_indexes(allowed, eager)} == {"its collection is gone"}
    assert indexes(database_url) == ()
    assert rows(database_url, "SELECT count(*) FROM retrieval.filter_index") == [(0,)]
    assert rows(database_url, "SELECT count(*) FROM pg_statistic_ext") == [(0,)]


def test_a_broken_off_build_is_made_again(vectors, project, eager, allowed, database_url):
    use(project, WIDTH)
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO retrieval.filter_index VALUES ('image_filter_width_things')")
    done = ensure_filter_indexes(allowed, eager)
    assert done[0] == "dropped image_filter_width_things: its build was broken off"
    assert done[1].startswith("made image_filter_width_things, since 10 of 10 searches by width took long")


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40, deadline=None
)
@given(filter=FILTERS, k=st.integers(1, 40))
def test_with_indexes_any_filter_finds_what_brute_force_finds(indexed, filter, k):
    (vectors, connection), (filter, holds) = indexed, filter
    expected = [number for number in range(ROWS) if holds(facts(number))]
    asked = {"query": str(QUERY.tolist()), "filter": Jsonb(filter), "k": k}
    found = connection.execute("SELECT image_id FROM images.search('things', %(query)s, %(k)s, %(filter)s)", asked)
    ids = [int(row[0]) for row in found]
    cosines = similarities(vectors, QUERY)
    assert len(ids) == len(set(ids)) == min(k, len(expected))
    assert set(ids) <= set(expected)
    if not expected or len(expected) < 0.1 * ROWS:  # then all of them are compared
        best = sorted((cosines[number] for number in expected), reverse=True)[:k]
        assert [cosines[number] for number in ids] == pytest.approx(best, abs=2e-3)


@pytest.fixture
def indexed(vectors, project, eager, allowed, database_url):
    use(project, *KINDS)
    ensure_filter_indexes(allowed, eager)
    with psycopg.connect(database_url) as connection:
        yield vectors, connection


def test_a_search_tells_its_way_and_what_would_make_it_faster(vectors, project, eager, allowed, database_url):
    told = explained(database_url, {"width": {"lt": 1}})
    assert told["way"].startswith("the matching images are found first")
    assert told["matching rows"].startswith("3; the planner expected ")
    assert (told["results"], told["index for column width"]) == ("3", "none")
    assert told["why"].endswith("(costs: as usual, until the upkeep measures them)")
    assert explained(database_url, {"width": {"lt": 500}})["way"].startswith("the index of the vectors gives")
    assert explained(database_url, {})["way"] == "the index of the vectors, without a filter"
    use(project, WIDTH)
    ensure_filter_indexes(allowed, eager)
    measured = measure_costs(allowed, eager)
    assert measured is not None
    assert all(cost > 0 for cost in measured.values())
    told = explained(database_url, {"width": {"lt": 1}})
    assert told["index for column width"] == "image_filter_width_things"
    assert told["advice"] == "none: no index is missing"
    assert told["why"].endswith("(costs: as the upkeep measured them)")


def test_looks_get_indexes_that_searches_use(vectors, project, eager, allowed, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE retrieval.image SET sharpness = width, complexity = width / 1000.0, "
            "colours = CASE WHEN width < 10 THEN '{pink,white}'::text[] ELSE '{white}' END"
        )
    filters = {"colour": "pink"}, {"sharpness": {"lt": 10}}, {"complexity": {"lt": 0.0095}}
    use(project, *filters)
    use(project, {"colour": {"any": ["pink", "red"]}}, times=1)
    ensure_filter_indexes(allowed, eager)
    names = {subject: f"image_filter_{subject}_things" for subject in ("colour", "complexity", "sharpness")}
    assert indexes(database_url) == tuple(names.values())
    for filter in filters:
        (subject,) = filter
        told = explained(database_url, filter)
        assert (told[f"index for column {subject}"], told["matching rows"][:2]) == (names[subject], "30")
    with psycopg.connect(database_url) as connection:
        plan = connection.execute(
            "EXPLAIN SELECT id FROM retrieval.matching_things_random WHERE colours @> ARRAY['pink']"
        ).fetchall()
    assert names["colour"] in str(plan)


def test_costs_are_measured_on_some_pages_of_a_large_table(vectors, eager, collection, monkeypatch):
    monkeypatch.setattr(costs, "SCANNED", 300)
    with connect(eager) as connection:
        connection.execute("ANALYZE retrieval.image")
        asked = {"percent": 100 * costs.SCANNED / ROWS, "collection": "things"}
        plan = statement("costs", "explain_scan", scan=statement("costs", "scan"))
        cost = connection.execute(plan, asked).fetchone()["QUERY PLAN"][0]["Plan"]["Total Cost"]
        every = connection.execute(plan, asked | {"percent": 100}).fetchone()["QUERY PLAN"][0]["Plan"]["Total Cost"]
    assert cost < every / 5
    assert measure_costs(collection, eager)["unit"] > 0


def test_the_dearer_way_is_not_taken(vectors, database_url):
    for measured, way in (
        ({"candidate": 1e-6, "vector": 100, "unit": 100}, "the index of the vectors gives"),
        ({"candidate": 1e6, "vector": 1e-6, "unit": 1e-6}, "all vectors are read"),
    ):
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE retrieval.collection SET costs = %s", [Jsonb(measured)])
        assert explained(database_url, {"width": {"lt": 500}})["way"].startswith(way)


def test_what_searches_filter_by_is_noted_where_it_may_be(vectors, project, database_url):
    use(project, {"or": [WIDTH, {"group_id": "g1"}], "not": {"height": 3}, "caption": None}, times=2)
    noted = "SELECT kind, subject, uses, slow FROM retrieval.filter_use ORDER BY subject"
    assert rows(database_url, noted) == [("column", "group_id", 2, 2), ("column", "width", 2, 2)]
    role = f"searcher_{os.getpid()}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA images, retrieval TO {role}".encode())
        connection.execute(f"GRANT SELECT ON retrieval.collection, images.things TO {role}".encode())
        try:
            assert explained(database_url, WIDTH, role)["results"] == "3"
            for limit in (f"SET LOCAL ROLE {role}", "SET LOCAL transaction_read_only = on"):
                with connect(project) as searcher:
                    searcher.execute(limit.encode())
                    assert len(search(searcher, "things", QUERY, 3, WIDTH)) == 3
                    assert len(search(searcher, "things", QUERY, 3, WIDTH)) == 3
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    assert [row[2] for row in rows(database_url, noted)] == [2, 2]


def test_a_note_that_fails_leaves_the_search_and_its_transaction_alone(vectors, project, database_url):
    noted = "SELECT subject FROM retrieval.filter_use"
    with connect(project) as searcher:
        long = "".join(chr(0x4E00 + number) for number in range(4000))
        assert search(searcher, "things", QUERY, 3, {"attributes": {long: 1}}) == []
        assert len(search(searcher, "things", QUERY, 3, WIDTH)) == 3
    assert rows(database_url, noted) == [("width",)]
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE retrieval.filter_use ADD CHECK (uses < 2)")
    with connect(project) as searcher:
        searcher.execute("UPDATE retrieval.collection SET costs = '{}'")
        assert len(search(searcher, "things", QUERY, 3, WIDTH)) == 3
    assert rows(database_url, "SELECT costs FROM retrieval.collection") == [({},)]


def test_invented_attributes_want_no_index(vectors, project, eager, collection):
    use(project, {"attributes": {"invented": {"lt": 1}}}, {"attributes": {"invented": "red"}}, times=12)
    use(project, {"attributes": {"colour": "red"}}, times=9)
    assert ensure_filter_indexes(collection, eager) == []
    use(project, {"attributes": {"colour": "red"}}, times=1)
    (proposed,) = ensure_filter_indexes(collection, eager)
    assert proposed.startswith("10 of 10 searches by colour took long")


def test_uses_are_halved_once_a_day_and_forgotten_after_long(vectors, project, eager, collection, database_url):
    use(project, WIDTH, {"height": 3}, {"format": "JPEG"}, {"attributes": {"colour": "red"}}, times=11)
    noted = "SELECT subject, uses, slow FROM retrieval.filter_use ORDER BY 1"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE retrieval.filter_use SET halved_at = now() - interval '1 day' WHERE subject <> 'colour'"
        )
        connection.execute(
            "UPDATE retrieval.filter_use SET used_at = now() - interval '31 days' WHERE subject = 'height'"
        )
    for _ in range(2):
        ensure_filter_indexes(collection, eager)
        assert rows(database_url, noted) == [("colour", 11, 11), ("format", 5, 5), ("width", 5, 5)]
    use(project, {"attributes": {f"invented_{number}": 1 for number in range(filter_indexes.KEPT)}}, times=1)
    with connect(project) as searcher:
        use(project, WIDTH, times=1)
        searcher.execute(statement("filters", "try_to_change_uses"))
        ensure_filter_indexes(collection, eager)  # a search notes its own meanwhile
    assert rows(database_url, "SELECT count(*) FROM retrieval.filter_use") == [(filter_indexes.KEPT + 3,)]
    ensure_filter_indexes(collection, eager)
    assert rows(database_url, "SELECT count(*) FROM retrieval.filter_use") == [(filter_indexes.KEPT,)]
    assert {("colour", 11, 11), ("width", 6, 6)} < set(rows(database_url, noted))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(filter=FILTERS)
def test_parts_of_a_filter_are_what_it_names(project, filter):
    with connect(project) as connection:
        asked = {"filter": Jsonb(filter := filter[0])}
        parts = connection.execute("SELECT * FROM retrieval.filter_parts(%(filter)s)", asked).fetchall()
        for part in parts:
            made = "SELECT (retrieval.filter_index('things', %(kind)s, %(subject)s)).name"
            assert connection.execute(made, part).fetchone()
    assert {part["subject"] for part in parts} <= named(filter)


def named(filter):
    """What a filter names outside of `not`."""
    found = set()
    for key, value in filter.items():
        if key in ("and", "or"):
            found |= set().union(*(named(each) for each in value))
        elif key == "attributes":
            found |= set(value)
        elif key != "not":
            found.add(key)
    return found


def test_an_attribute_that_is_taken_for_twice_as_frequent_is_compared_exactly(project, database_url):
    """A resumed scan misses some. The figures are those of a million images on two cores."""
    cheaper = 'SELECT retrieval.is_exact_cheaper(\'{"candidate": 9.9, "vector": 2.4, "unit": 2.7}\', %s, %s, %s)'
    with psycopg.connect(database_url) as connection:
        assert connection.execute(cheaper.encode(), (2956, 20_297, 21_140)).fetchone() == (True,)
        assert connection.execute(cheaper.encode(), (984, 30_472, 31_329)).fetchone() == (False,)
