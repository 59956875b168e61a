"""Alembic's entry: applies the versions in one transaction each, on the URL that `migrate` hands over."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool, text

url = context.config.attributes["database_url"]
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=pool.NullPool)
with engine.connect() as connection:
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS retrieval"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="retrieval", transaction_per_migration=True)
    with context.begin_transaction():
        # one migration at a time, whoever starts it
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:migrate', 0))"))
        context.run_migrations()
    connection.commit()
