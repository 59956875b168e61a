"""The search service: an HTTP API over collections, models and tables, free of Airflow."""
