"""Alembic's entry: applies the versions in one transaction each, on the URL that `migrate` hands over."""

from alembic import context
from sqlalchemy import create_engine, pool, text

url = context.config.attributes["database_url"]
for scheme in ("postgresql://", "postgres://"):
    url = url.replace(scheme, "postgresql+psycopg://", 1) if url.startswith(scheme) else url

engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS retrieval"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="retrieval", transaction_per_migration=True)
    with context.begin_transaction():
        # one migration at a time, whoever starts it
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:migrate', 0))"))
        context.run_migrations()
    connection.commit()
