"""Settings and collections for the DAG processor and the tasks."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from image_retrieval.collection import Collection, find_collection, load_collections
from image_retrieval.errors import UserError
from image_retrieval.schemes import BUCKETS
from image_retrieval.settings import Settings, load_settings
from orchestration.connections import POSTGRES_CONNECTION, connection_string, store_connection, with_stores
from orchestration.failures import RETRY_POLICY

CPU_POOL = "resample"
GPU_POOL = "gpu"
LABEL = "label"  # key in the context of a mapped task's instance
MAP_LABEL = f"{{{{ {LABEL} }}}}"

TASK_DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_POLICY,
}

# without a start_date, a DAG that is switched on waits for its next time instead of running for the last one
DAG_DEFAULTS: dict[str, Any] = {
    "catchup": False,  # one run processes everything, so there is nothing to catch up on
    "max_active_runs": 1,
    "dagrun_timeout": timedelta(hours=24),
    "default_args": TASK_DEFAULTS,
}


def task_id(of: Any) -> str:
    """The id of a task, given as its operator or as what it returns."""
    return str(getattr(of, "operator", of).task_id)


def declared_collections() -> list[Collection]:
    """The entries of include/collections.yaml; reads only that file."""
    return list(load_collections(load_settings().collections_path).values())


def declared_collection(name: str) -> Collection:
    """One entry of include/collections.yaml."""
    return find_collection(load_settings().collections_path, name)


def task_settings() -> Settings:
    """The settings of a running task: Airflow's connections, if they exist, override the environment."""
    return _settings(Connection.get)


def server_settings() -> Settings:
    """The same for the API server, which reads connections from Airflow's database itself."""
    from airflow.models.connection import Connection as StoredConnection

    return _settings(StoredConnection.get_connection_from_secrets)


def _settings(get: Callable[[str], Any]) -> Settings:
    settings = load_settings()
    changes: dict[str, Any] = {}
    postgres = _found(get, POSTGRES_CONNECTION)
    if postgres is not None:
        changes["database_url"] = connection_string(postgres)
    found = {scheme: _found(get, store_connection(scheme)) for scheme in BUCKETS}
    changes |= with_stores(settings, {scheme: given for scheme, given in found.items() if given is not None})
    return settings.model_copy(update=changes)


def _found(get: Callable[[str], Any], name: str) -> Any:
    """A connection, or None. Raises UserError if its variable is set, but Airflow cannot read it."""
    try:
        return get(name)
    except AirflowNotFoundException:
        variable = f"AIRFLOW_CONN_{name.upper()}"
    if os.environ.get(variable):
        raise UserError(
            f"{variable} holds no connection that Airflow can read: give it as JSON, or as a URI with what is special "
            "in user and password percent-encoded (encode @ as %40, / as %2F, …)"
        )
    return None
