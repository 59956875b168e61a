"""A database of a former schema version comes along with all that it holds."""

from importlib.resources import files
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from image_retrieval.errors import UserError
from image_retrieval.store.connection import connect, newest_version
from image_retrieval.store.reports import collection_stats
from image_retrieval.store.schema import migrate
from integration.tables import rows

FORMER = Path(__file__).with_name("former_schema.sql")


@pytest.fixture
def former(project, database_url):
    """The project's database at schema version 1, with what a run left there."""
    config = Config(attributes={"database_url": database_url})
    config.set_main_option("script_location", str(files("image_retrieval.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA retrieval CASCADE")
        connection.execute("DROP SCHEMA images CASCADE")
    command.upgrade(config, "0001")
    with psycopg.connect(database_url) as connection:
        connection.execute(FORMER.read_bytes())
    return project


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
    assert (stats["images"], stats["rejected"], stats["vectors"]) == (1, 1, 1)


def test_a_former_view_becomes_what_a_new_one_is(former, database_url):
    migrate(former)
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT retrieval.show_vectors('others', 'vector_things_random')")
    assert columns(database_url, "images.things") == columns(database_url, "images.others")
    assert rows(database_url, "SELECT sha256, captured_at, phash FROM images.things") == [("f00", None, None)]


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
    told = rf"has version 0001 of the schema, and {newest_version()} is needed: run `image-retrieval migrate`"
    with pytest.raises(UserError, match=told), connect(former):
        pass
