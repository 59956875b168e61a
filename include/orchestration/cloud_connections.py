"""Airflow's connections to Google Cloud Storage and Azure Blob Storage as entries of the stores."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from image_retrieval.errors import UserError
from image_retrieval.schemes import BUCKETS
from image_retrieval.stores import Store

TYPES = {"gs": ("google_cloud_platform", "generic"), "az": ("wasb", "generic")}
KNOWN = {"gs": ("keyfile_dict", "key_path", "endpoint_url", "region"), "az": ("sas_token", "endpoint_url")}
# what only Airflow's own hooks use, and what does not matter if it is empty
LEFT_TO_AIRFLOW = {"project", "scope", "num_retries"}


def cloud_store(scheme: str, connection: Any, extra: Mapping[str, Any]) -> Store:
    """The entry of a scheme that a connection makes. Raises UserError that names what is not supported or wrong."""
    name = f"image_retrieval_{scheme}"
    protocol = BUCKETS[scheme].protocol
    if connection.conn_type not in (None, *TYPES[protocol]):
        raise UserError(f"connection {name} is of another type than {TYPES[protocol][0]}")
    found = {key.rpartition("__")[2]: value for key, value in extra.items() if value not in (None, "", {}, False)}
    for key in found:
        if key not in (*KNOWN[protocol], *LEFT_TO_AIRFLOW):
            known = ", ".join(KNOWN[protocol])
            raise UserError(
                f"connection {name}: {key[:60]!a} of its extra is not supported: known are {known}; a store without a "
                "login takes the identity of the machine"
            )
    made = {key: value for key, value in VALUES[protocol](connection, found).items() if value}
    try:
        return Store.model_validate(made)
    except ValidationError as error:
        first = error.errors()[0]
        field = f"{first['loc'][0]}: " if first["loc"] else ""
        raise UserError(f"connection {name}: {field}{first['msg'].removeprefix('Value error, ')}") from None


def _of_google(connection: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Login and password are the keys for the protocol of S3 (HMAC), if there are any."""
    return {
        "access_key_id": connection.login,
        "secret_access_key": connection.password,
        "service_account": extra.get("keyfile_dict") or extra.get("key_path"),
        "endpoint_url": extra.get("endpoint_url"),
        "region": extra.get("region"),
    }


def _of_azure(connection: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    host = connection.host or ""
    return {
        "account": connection.login,
        "account_key": connection.password,
        "sas_token": extra.get("sas_token"),
        "endpoint_url": extra.get("endpoint_url") or (host if host.startswith(("http://", "https://")) else None),
    }


VALUES: dict[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {"gs": _of_google, "az": _of_azure}
