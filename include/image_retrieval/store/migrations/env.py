"""Alembic's entry: applies the versions in one transaction, on the URL that `migrate` hands over."""

from typing import Any

import psycopg
from alembic import context
from psycopg.rows import dict_row, tuple_row
from sqlalchemy import create_engine, pool

from image_retrieval.store.preparing import prepare_migration
from image_retrieval.store.sql import statement

url = context.config.attributes["database_url"]
place = context.config.attributes.get("place", "the database")


def _connect() -> psycopg.Connection:
    connection = psycopg.connect(url, prepare_threshold=None, application_name="image-retrieval")
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
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
    connection.commit()
