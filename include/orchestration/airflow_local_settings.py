"""Limits connections in Airflow. Each process of Airflow reads this file first, from `$AIRFLOW_HOME/config`."""

from orchestration.server_limits import limit_connections

limit_connections()
__all__: list[str] = []  # exports no policy to Airflow
