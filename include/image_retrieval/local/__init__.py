"""The embedded default: PostgreSQL with pgvector, an S3 store and Airflow, from wheels, on loopback, under .local/."""
