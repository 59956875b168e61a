"""What each process of Airflow reads first, where this lies in `$AIRFLOW_HOME/config`: limits on connections."""

from orchestration.server_limits import limit_connections

limit_connections()
__all__: list[str] = []  # no policy for Airflow
