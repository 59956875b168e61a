"""A database of a former schema version comes along with all that it holds."""

import json
import subprocess
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from image_retrieval.errors import UserError
from image_retrieval.local import postgres
from image_retrieval.pipeline.listing import list_images
from image_retrieval.store.collections import collection_stats
from image_retrieval.store.connection import connect, newest_version
from image_retrieval.store.loading import COLUMNS, load_vectors
from image_retrieval.store.migrate import migrate
from image_retrieval.store.sql import script
from integration.pictures import put
from integration.tables import VECTORS, rows

FILLED = Path(__file__).with_name("filled")
PARTS = {"source": "s3://images/", "model": "models/random", "a": "'e1'", "b": "'e2'", "c": "'e3'"}
MIGRATIONS = files("image_retrieval.store") / "migrations"
FUNCTIONS = sorted(
    entry.name for entry in (files("image_retrieval.store") / "schema").iterdir() if entry.name != "tables.sql"
)
DROPPED = {("vector_index", "operator_class")}  # columns that a version takes away
VERSIONS = sorted(entry.name[:4] for entry in (MIGRATIONS / "versions").iterdir() if entry.name.endswith(".py"))


def emptied(url):
    """Takes from a database what `migrate` made there."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA retrieval CASCADE")
        connection.execute("DROP SCHEMA images CASCADE")


@pytest.fixture
def at(project, database_url):
    """Puts the project's database at a schema version, with what that version's code left there after a run."""
    emptied(database_url)

    def at(version, **parts):
        filled = (FILLED / f"{version}.sql").read_text()
        for name, value in parts.items():
            filled = filled.replace(PARTS[name], value)
        with psycopg.connect(database_url) as connection:
            connection.execute(filled)
        return project

    return at


@pytest.fixture
def former(at):
    return at(VERSIONS[0])


def columns(url, view):
    query = (
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum) "
        "FROM pg_attribute AS a WHERE a.attrelid = to_regclass(%s) ORDER BY a.attnum"
    )
    return rows(url, query, view)


def test_what_was_there_stays(former, database_url):
    before = rows(database_url, "SELECT * FROM images.things")
    migrate(former)
    assert [row[: len(before[0])] for row in rows(database_url, "SELECT * FROM images.things")] == before
    query = "SELECT image_path, similarity FROM images.search('things', '[1,0,0]')"
    assert rows(database_url, query) == [("s3://images/a.jpg", 1.0)]
    with connect(former) as connection:
        stats = collection_stats(connection)["things"]
    assert (stats["images"], stats["rejected"], stats["vectors"]) == (1, 2, 1)


def test_a_former_view_becomes_what_a_new_one_is(former, database_url):
    migrate(former)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT retrieval.show_vectors('others', 'vector_things_random')")
    assert columns(database_url, "images.things") == columns(database_url, "images.others")


def test_grants_and_dependent_views_outlive_a_migration(former, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("GRANT SELECT ON images.things TO PUBLIC")
        connection.execute("CREATE VIEW ours AS SELECT image_id FROM images.things")
    migrate(former)
    assert rows(database_url, "SELECT has_table_privilege('pg_monitor', 'images.things', 'SELECT')") == [(True,)]
    assert rows(database_url, "SELECT image_id FROM ours") == [("a",)]


def test_a_collection_whose_view_somebody_dropped_is_no_obstacle(former, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP VIEW images.things")
    migrate(former)
    assert rows(database_url, "SELECT to_regclass('images.things')") == [(None,)]


def test_migrating_again_changes_nothing(former, database_url):
    migrate(former)
    before = columns(database_url, "images.things")
    migrate(former)
    assert columns(database_url, "images.things") == before
    assert rows(database_url, "SELECT version_num FROM retrieval.alembic_version") == [(newest_version(),)]


def test_a_database_that_was_not_brought_along_is_told(former):
    told = rf"has version {VERSIONS[0]} of the schema, but {newest_version()} is needed: run `image-retrieval migrate`"
    with pytest.raises(UserError, match=told), connect(former):
        pass


def tables(url):
    """The rows of every table, by the columns that stay."""
    query = (
        "SELECT table_name, array_agg(column_name::text ORDER BY ordinal_position) "
        "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) "
        "WHERE table_schema = 'retrieval' AND table_type = 'BASE TABLE' AND table_name <> 'alembic_version' GROUP BY 1"
    )
    stay = {
        table: ", ".join(f'"{name}"' for name in names if (table, name) not in DROPPED)
        for table, names in rows(url, query)
    }
    return {table: (names, contents(url, table, names)) for table, names in stay.items()}


def contents(url, table, names):
    return rows(url, f"SELECT ROW({names})::text FROM retrieval.{table} ORDER BY 1")


@pytest.fixture
def three_dimensions(random_model, tmp_path):
    """A model's folder whose vectors have 3 components, as those of the filled tables."""
    folder = tmp_path / "three"
    folder.mkdir()
    for file in random_model.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 3}))
    return folder


# a version that others follow needs its file: what its code left in a database is what they bring along
@pytest.mark.parametrize("version", sorted({*VERSIONS[:-1], *(file.stem for file in FILLED.glob("*.sql"))}))
def test_each_version_comes_along(version, at, database_url, store, collection, change_collection, three_dimensions):
    put(store, collection.source, {f"{name}.jpg": name.encode() for name in "abcd"})
    etags = {entry.key[0]: f"'{entry.etag}'" for page in store.pages(collection.source) for entry in page}
    model = {"name": "random", "source": str(three_dimensions)}
    changed = change_collection(model=model, id_pattern=None)
    facts = {name: etags[name] for name in "abc"}
    project = at(version, source=collection.source, model=str(three_dimensions), **facts)
    before, shown = tables(database_url), rows(database_url, "SELECT * FROM images.things")
    assert {"image", "rejected", "run", "shard", "model", "collection", VECTORS.partition(".")[2]} <= set(before)
    assert all(found for _, found in before.values())

    migrate(project)
    assert {table: (names, contents(database_url, table, names)) for table, (names, _) in before.items()} == before
    assert [row[: len(shown[0])] for row in rows(database_url, "SELECT * FROM images.things")] == shown
    query = "SELECT image_id, similarity FROM images.search('things', '[1,0,0]')"
    assert rows(database_url, query) == [("a", 1.0)]

    plan = list_images(changed, "next", project)  # a has its vector, b is rejected, c is queued or new, d is new
    assert (plan.listed, plan.new, plan.changed, plan.gone) == (4, 2, 0, 0)
    assert rows(database_url, query) == [("a", 1.0)]


def test_vectors_of_a_former_schema_are_loaded_again_once(former, collection, database_url):
    migrate(former)
    facts = {"etag": "e1", "size": 9, "last_modified": datetime(2026, 1, 1, tzinfo=UTC), "sha256": "f00"}
    facts |= {"width": 640, "height": 480, "format": "JPEG", "mode": "RGB", "phash": 1}
    [(id,)] = rows(database_url, f"SELECT id FROM {VECTORS}")
    images = pa.table({name: pa.array([(facts | {"id": id}).get(name)], kind) for name, kind in COLUMNS.items()})
    vectors = pa.chunked_array([[[1.0, 0.0, 0.0]]], pa.list_(pa.float32(), 3))
    written = []
    for _ in range(2):
        with connect(former) as connection:
            written.append(load_vectors(connection, collection, images, vectors))
    assert written == [1, 0]
    with psycopg.connect(database_url) as connection:
        connection.execute(f"UPDATE {VECTORS} SET embedding = '[0,1,0]'")
    assert rows(database_url, f"SELECT digest FROM {VECTORS}") == [(None,)]


CONTESTED = """
    INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token)
    VALUES ('x_random', 'models/x', 'vision_transformer', 3, true);
    CREATE TABLE retrieval.vector_things_x_random (LIKE retrieval.vector_things_random INCLUDING ALL);
    INSERT INTO retrieval.image (collection, image_id, uri) VALUES ('things_x', 'c', 'c'), ('things_x', 'd', 'd');
    INSERT INTO retrieval.vector_things_x_random
    SELECT id, 'e', '[0,1,0]', 1 FROM retrieval.image WHERE image_id IN ('a', 'c', 'd');
    INSERT INTO retrieval.switch (collection, from_model, to_model, state)
    VALUES ('things', 'random', 'x_random', 'open');
    SELECT retrieval.face_vectors('things', 'x_random', 'cosine');
    SELECT retrieval.show_vectors('things_x', 'vector_things_x_random');
    INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('things_x', 's3://x/', 'random', 3);
"""


@pytest.mark.parametrize("dependent", [False, True])
def test_a_table_that_two_spaces_filled_goes_to_one_and_holds_its_own(at, database_url, dependent):
    project = at("0011")
    with psycopg.connect(database_url) as connection:
        connection.execute(CONTESTED)
        connection.execute("SELECT retrieval.show_vectors('things', 'vector_things_x_random')")
        connection.execute("UPDATE retrieval.collection SET model = 'x_random' WHERE name = 'things'")
        if dependent:
            connection.execute("CREATE VIEW ours AS SELECT image_id FROM images.things")
    assert rows(database_url, "SELECT image_id FROM images.things_x ORDER BY 1") == [("a",), ("c",), ("d",)]

    migrate(project)
    assert rows(database_url, "SELECT collection, model FROM retrieval.vector_space ORDER BY 1, 2") == [
        ("things", "random"),
        ("things_x", "random"),
    ]
    found = "SELECT image_id FROM images.search('things_x', '[0,1,0]') ORDER BY 1"
    assert rows(database_url, found) == [("c",), ("d",)]
    assert rows(database_url, "SELECT array_agg(state) FROM retrieval.switch WHERE to_model = 'x_random'") == [
        (["given_up"],)
    ]
    assert rows(database_url, "SELECT name FROM retrieval.collection") == [("things_x",)]
    assert rows(database_url, f"SELECT count(*) FROM {VECTORS}") == [(1,)]
    if dependent:
        assert rows(database_url, "SELECT count(*) FROM ours") == [(0,)]
    else:
        assert rows(database_url, "SELECT to_regclass('images.things')") == [(None,)]


def test_a_table_that_two_spaces_could_have_stays_with_the_one_that_filled_it(at, database_url):
    project = at("0011")
    with psycopg.connect(database_url) as connection:
        connection.execute(CONTESTED)
        connection.execute(
            "DELETE FROM retrieval.vector_things_x_random AS v USING retrieval.image AS i "
            "WHERE i.id = v.id AND i.image_id = 'a'"
        )
    migrate(project)
    assert rows(database_url, "SELECT image_id FROM images.search('things_x', '[0,1,0]') ORDER BY 1") == [
        ("c",),
        ("d",),
    ]
    assert rows(database_url, "SELECT image_id FROM images.search('things', '[1,0,0]')") == [("a",)]
    assert rows(database_url, "SELECT DISTINCT state FROM retrieval.switch") == [("given_up",)]
    view = "SELECT pg_get_viewdef('retrieval.matching_things_x_random'::regclass) ~ '''things_x'''"
    assert rows(database_url, view) == [(True,)]


def schema_of(url):
    """The schema as pg_dump writes it, without what begins with a key of its own in each dump."""
    pg_dump = postgres.programs() / "pg_dump"
    dumped = subprocess.run([pg_dump, "--schema-only", url], check=True, capture_output=True, text=True).stdout
    return [line for line in dumped.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_a_database_that_comes_along_becomes_what_a_fresh_one_is(version, at, database_url):
    project = at(version)
    with psycopg.connect(database_url) as connection:
        own = connection.execute("SELECT vectors FROM retrieval.vector_index").fetchall()
        connection.execute("DELETE FROM retrieval.collection")
        connection.execute("DROP VIEW images.things")
        connection.execute("SELECT retrieval.drop_vectors('things', 'random')")
    assert own == [(VECTORS.partition(".")[2],)]
    migrate(project)
    came_along = schema_of(database_url)
    emptied(database_url)
    migrate(project)
    assert schema_of(database_url) == came_along


def test_two_that_migrate_a_fresh_database_at_once_both_succeed(project, database_url):
    for _ in range(3):
        emptied(database_url)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
            done = [processes.submit(migrate, project) for _ in range(2)]
            assert [future.result() for future in done] == [None, None]
    assert rows(database_url, "SELECT version_num FROM retrieval.alembic_version") == [(newest_version(),)]


def test_an_older_database_is_told_what_brings_it_along_first(former, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.alembic_version SET version_num = '0007'")
    told = f"has version 0007 of the schema, but {VERSIONS[0]} is the oldest that can be migrated: run .* first"
    with pytest.raises(UserError, match=told):
        migrate(former)


def test_a_newer_database_is_left_as_it_is(project, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.alembic_version SET version_num = '9999'")
        connection.execute("DROP FUNCTION images.rejected")
    migrate(project)
    assert rows(database_url, "SELECT version_num FROM retrieval.alembic_version") == [("9999",)]
    assert rows(database_url, "SELECT to_regproc('images.rejected')") == [(None,)]


def test_a_function_that_somebody_changed_is_as_it_should_be_again(project, database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION images.phash_distance(a bigint, b bigint) RETURNS integer LANGUAGE sql RETURN 0"
        )
    migrate(project)
    assert rows(database_url, "SELECT images.phash_distance(0, 7)") == [(3,)]


def test_no_function_hides_a_variable(project):
    """A variable named `found` would hide PL/pgSQL's own FOUND."""
    with connect(project) as connection:
        connection.execute("SET plpgsql.extra_errors = 'shadowed_variables'")
        for name in FUNCTIONS:
            connection.execute(script(f"schema/{name}"))
