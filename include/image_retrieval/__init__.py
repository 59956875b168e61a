"""Keep a PostgreSQL + pgvector table in step with buckets of images, and search it in SQL."""

__version__ = "0.1.0"
