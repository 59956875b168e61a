"""Connects the library to Airflow: connections, task bodies, embedding operators. The library never imports it."""
