"""The service's limits on connections, for Airflow's own API server."""

import sys


def limit_connections() -> None:
    """Let Airflow's API server keep to these limits, where this process is going to be one.

    `airflow api-server` offers no setting for them, and a plugin is loaded when it is too late. So this is for
    airflow_local_settings.py, which each process of Airflow reads first: it replaces what uvicorn takes where nobody
    says which protocol. With `[api] workers` over 1 it does nothing, as each of them starts anew. Raises UserError.
    """
    if "api-server" not in sys.argv:
        return
    from uvicorn.config import HTTP_PROTOCOLS

    from image_retrieval.service.connections import limited_connection
    from image_retrieval.settings import load_settings

    HTTP_PROTOCOLS["auto"] = limited_connection(load_settings())  # type: ignore[assignment]  # or its import path
