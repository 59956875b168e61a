"""Alembic's entry: applies the versions in one transaction, on the URL that `migrate` hands over."""

from typing import Any

import psycopg
from alembic import context
from psycopg.rows import dict_row, tuple_row
from sqlalchemy import create_engine, pool

from image_retrieval.errors import UserError
from image_retrieval.store.preparing import prepare_migration, require_server
from image_retrieval.store.sql import statement

url = context.config.attributes["database_url"]
place = context.config.attributes.get("place", "the database")


def _connect() -> psycopg.Connection:
    connection = psycopg.connect(url, client_encoding="UTF8", application_name="image-retrieval")
    connection.prepare_threshold = None
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    try:
        require_server(connection, place)  # before SQLAlchemy asks for anything, which takes its texts for UTF-8
    except UserError:
        connection.close()
        raise
    return connection


engine = create_engine("postgresql+psycopg://", creator=_connect, poolclass=pool.NullPool)
with engine.connect() as connection:
    driver: Any = connection.connection.driver_connection
    driver.row_factory = dict_row
    prepare_migration(driver, place)
    driver.row_factory = tuple_row
    context.configure(connection=connection, version_table_schema="retrieval")
    with context.begin_transaction():
        context.run_migrations()
        driver.execute(statement("session", "pin_search_path"))
