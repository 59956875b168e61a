"""The service's limits on connections, for Airflow's own API server."""

import sys

SWITCH_SECONDS = 0.0001  # after which a thread hands over the interpreter: pages wait for it at each of their steps


def limit_connections() -> None:
    """Apply the limits if this process is going to be Airflow's API server.

    `airflow api-server` has no setting for them, and plugins are loaded too late. So airflow_local_settings.py, which
    each process of Airflow reads first, calls this function: it replaces uvicorn's default protocol. With `[api]
    workers` over 1 it has no effect, since each worker is a new process. Raises UserError.
    """
    if "api-server" not in sys.argv:
        return
    sys.setswitchinterval(SWITCH_SECONDS)
    from uvicorn.config import HTTP_PROTOCOLS

    from image_retrieval.service.connections import limited_connection
    from image_retrieval.settings import load_settings

    HTTP_PROTOCOLS["auto"] = limited_connection(load_settings())  # type: ignore[assignment]  # or its import path
