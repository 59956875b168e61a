"""Each vector table, with its index, view and function, belongs to one collection under one model."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.pipeline.importing import import_collection
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.switching import plan_switch
from image_retrieval.pipeline.upkeep import kept_collections
from image_retrieval.spaces import VectorSpace
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import SpaceTaken, ensure_vector_table
from integration.pictures import SCENES, put
from integration.tables import rows

TAKEN = (
    r"would be in \S+, which has the name of a table or index of collection '[^']+' under model '[^']+': give the model"
)
NAMES = st.from_regex("[a-z](_hnsw2?|_pkey|[a-z0-9_]){0,5}", fullmatch=True)


def space(name, model, collection):
    return collection.model_copy(update={"name": name, "model": collection.model.model_copy(update={"name": model})})


def make(project, collection, *pairs):
    for pair in pairs:
        with connect(project) as connection:
            ensure_vector_table(connection, space(*pair, collection), 3)


def test_a_second_space_of_a_name_is_refused_in_a_run_a_switch_and_an_import(
    project, collection, store, database_url, tmp_path
):
    put(store, collection.source, dict(list(SCENES.items())[:2]))
    run_collection(space("things_eu", "v2", collection), "run", project)
    clashing = space("things", "eu_v2", collection)
    with pytest.raises(UserError, match=TAKEN):
        list_images(clashing, "run", project)
    with pytest.raises(UserError, match=TAKEN):
        list_images(clashing, "run", project, dry_run=True)
    with pytest.raises(UserError, match=TAKEN):
        import_collection(clashing, f"{project.work_uri}nothing/x.parquet", project, model="eu_v2")
    assert rows(database_url, "SELECT count(*) FROM retrieval.run WHERE collection = 'things'") == [(0,)]

    run_collection(collection, "run", project)
    with pytest.raises(UserError, match=TAKEN):
        plan_switch(collection, clashing.model, "switch", project)
    assert rows(database_url, "SELECT count(*) FROM retrieval.switch") == [(0,)]
    assert rows(database_url, "SELECT collection, model FROM retrieval.vector_space ORDER BY 1") == [
        ("things", "random"),
        ("things_eu", "v2"),
    ]
    assert rows(database_url, "SELECT count(*) FROM images.things_eu") == [(2,)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("shop", "eu_v2"), ("shop_eu", "v2")),
        (("shop", "v2"), ("shop_v2", "hnsw")),
        (("shop_v2", "hnsw2"), ("shop", "v2")),
        (("shop", "v2"), ("shop_v2", "pkey")),
    ],
)
def test_neither_tables_nor_indexes_share_a_name(project, collection, first, second):
    make(project, collection, first, first)
    with pytest.raises(SpaceTaken, match=TAKEN):
        make(project, collection, second)


@pytest.mark.parametrize(
    ("pair", "found"), [(("index", "pkey"), "vector_index_pkey"), (("in", "words"), "nearest_in_words")]
)
def test_a_name_that_the_schema_has_for_something_else_is_refused(project, collection, pair, found):
    with pytest.raises(SpaceTaken, match=f"the schema retrieval already has {found}"):
        make(project, collection, pair)
    make(project, collection, ("shop", "v2_hnsw"), ("shop", "pkey"))


def test_a_space_whose_table_was_dropped_by_hand_keeps_no_name(project, collection, database_url):
    make(project, collection, ("shop", "eu_v2"))
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP TABLE retrieval.vector_shop_eu_v2 CASCADE")
        connection.execute("DROP FUNCTION retrieval.nearest_shop_eu_v2, retrieval.hybrid_shop_eu_v2")
    make(project, collection, ("shop_eu", "v2"))
    with pytest.raises(SpaceTaken, match=TAKEN):
        make(project, collection, ("shop", "eu_v2"))


def test_of_two_that_come_at_once_one_has_the_table(project, collection, database_url):
    together = threading.Barrier(4)

    def claim(pair):
        with connect(project) as connection:
            together.wait()
            try:
                ensure_vector_table(connection, space(*pair, collection), 3)
            except SpaceTaken:
                return None
            return pair

    pairs = [("a", "b_c_d"), ("a_b", "c_d"), ("a_b_c", "d"), ("a_b", "c_d_hnsw")]
    with ThreadPoolExecutor(4) as pool:
        [owner] = filter(None, pool.map(claim, pairs))
    assert rows(database_url, "SELECT collection, model FROM retrieval.vector_space") == [owner]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=5, unique=True))
def test_the_database_and_the_library_agree_on_who_has_which_name(project, pairs):
    spaces = [VectorSpace(*pair) for pair in pairs]
    with connect(project) as connection:
        for entry in spaces:
            insert = "INSERT INTO retrieval.vector_space (collection, model) VALUES (%s, %s) ON CONFLICT DO NOTHING"
            connection.execute(insert, (entry.collection, entry.model))
        found = connection.execute("SELECT collection, model, vectors, stem FROM retrieval.vector_space").fetchall()
        connection.rollback()
    kept = [VectorSpace(row["collection"], row["model"]) for row in found]
    assert [(row["vectors"], row["stem"]) for row in found] == [(entry.vector_table, entry.stem) for entry in kept]
    assert {entry.stem for entry in kept} == {entry.stem for entry in spaces}
    names = [name for entry in kept for name in (*entry.relations, *entry.functions)]
    assert len(set(names)) == len(names)


def test_a_name_that_the_api_gave_is_not_an_entrys_as_well(project, collection, database_url):
    made = Collection(name="things", source="s3://images/made/things/", model=collection.model)
    definition = made.model_dump_json(exclude={"name"})
    rows(database_url, "INSERT INTO retrieval.made_collection VALUES ('things', %s::jsonb) RETURNING 1", definition)
    with pytest.raises(
        UserError, match=r"'things' of collections\.yaml has the name of one that was made through the API"
    ):
        list_images(collection, "run", project)
    with pytest.raises(UserError, match="was made through the API"):
        import_collection(collection, f"{project.work_uri}nothing/x.parquet", project, model="random")
    make(project, collection, ("things", "random"))
    assert kept_collections(project)["things"].collection.source == made.source
