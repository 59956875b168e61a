"""Alembic's entry point: migrates a database to the newest version in one transaction, at the URL from `migrate`."""

from typing import Any

import psycopg
from alembic import context
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row, tuple_row
from sqlalchemy import create_engine, pool

from image_retrieval.errors import UserError
from image_retrieval.store.preparing import prepare_migration, require_server
from image_retrieval.store.sql import script, statement

OLDEST = "0011"
# in this order: some are parsed at creation, and must find the functions that they call
FIRST = ["simplified", "words"]  # before the tables: a column is computed by them
FUNCTIONS = [
    *("distances", "arguments", "filters", "views", "ways", "search", "texts", "captions", "search_words", "facets"),
    *("timeline", "caption_vectors", "caption_words", "sides", "vector_and_words", "search_hybrid"),
    *("duplicates", "rejections", "filter_indexes", "explain", "maps", "search_path"),
]

url = context.config.attributes["database_url"]
place = context.config.attributes.get("place", "the database")


def _connect() -> psycopg.Connection:
    connection = psycopg.connect(url, client_encoding="UTF8", application_name="image-retrieval")
    connection.prepare_threshold = None
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    try:
        require_server(connection, place)  # before SQLAlchemy's first query, which assumes UTF-8
    except UserError:
        connection.close()
        raise
    return connection


def _bring_along(driver: psycopg.Connection[Any]) -> None:
    """Create the tables, or migrate existing ones, then replace all functions. Raises UserError."""
    found, newest = context.get_context().get_current_revision(), context.get_head_revision()
    if found is None or OLDEST <= found <= str(newest):
        for name in FIRST:
            driver.execute(script(f"schema/{name}.sql"))
    if found is None:
        driver.execute(script("schema/tables.sql"))
        context.get_context().stamp(ScriptDirectory.from_config(context.config), str(newest))
    elif found < OLDEST:
        raise UserError(
            f"{place} has version {found} of the schema, but {OLDEST} is the oldest that can be migrated: "
            "run `image-retrieval migrate` of commit aef65ff first"
        )
    elif found > str(newest):
        return  # a later version of this library has migrated it
    else:
        context.run_migrations()
    for name in FUNCTIONS:
        driver.execute(script(f"schema/{name}.sql"))
    if found not in (None, newest):
        driver.execute(statement("vector_tables", "renew_views"))
    driver.execute(statement("session", "pin_search_path"))


engine = create_engine("postgresql+psycopg://", creator=_connect, poolclass=pool.NullPool)
with engine.connect() as connection:
    driver: Any = connection.connection.driver_connection
    driver.row_factory = dict_row
    prepare_migration(driver, place)  # first takes a lock, which it holds until the commit
    driver.row_factory = tuple_row
    context.configure(connection=connection, version_table_schema="retrieval")
    with context.begin_transaction():
        _bring_along(driver)
