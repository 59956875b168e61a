"""Airflow's connections as settings: the fields and extras that are used, and those that are refused."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.schemes import BUCKETS
from image_retrieval.settings import Settings
from image_retrieval.store.connection_string import joined, parameter_names
from image_retrieval.stores import Store
from orchestration.cloud_connections import cloud_store

log = structlog.get_logger()
POSTGRES_CONNECTION = "image_retrieval_postgres"
S3_CONNECTION = "image_retrieval_s3"  # Airflow's remote logs may use it, too

# options of Airflow's hook that do not affect where it connects
HOOK_OPTIONS = {"cursor", "sqlalchemy_scheme", "sqlalchemy_query", "enable_log_db_messages"}
# options of its logins, which matter only if one of LOGINS is on
LOGIN_OPTIONS = {"aws_conn_id", "cluster-identifier", "workgroup-name"}
LOGINS = {"iam", "redshift", "redshift-serverless", "azure_conn_id"}
BOOLEANS = {"true": "1", "false": "0"}
FIELDS = {"host": "host", "port": "port", "schema": "dbname", "login": "user", "password": "password"}
LEFT_TO_AIRFLOW = "config_kwargs"  # Airflow's remote logs may need it in the same connection
S3_EXTRAS = {"endpoint_url", "region_name", "service_config", "aws_access_key_id", "aws_secret_access_key"}


def connection_string(connection: Any) -> SecretStr:
    """The connection string for libpq from a connection of Airflow: its fields, then its extra, which may replace them.

    Raises UserError that names an option that libpq does not have, or that has a wrong value.
    """
    if connection.conn_type not in (None, "postgres", "postgresql"):
        raise UserError(f"connection {POSTGRES_CONNECTION} is of another type than postgres")
    found = {name: _text(getattr(connection, attribute), name) for attribute, name in FIELDS.items()}
    for name, value in _extra(connection, POSTGRES_CONNECTION).items():
        if name in LOGINS and str(value).lower() not in ("none", "false", "0", ""):
            raise _refused(POSTGRES_CONNECTION, name, "is a login of Airflow's hook: give login and password instead")
        if name in HOOK_OPTIONS | LOGIN_OPTIONS | LOGINS:
            continue
        if name not in parameter_names():
            raise _refused(POSTGRES_CONNECTION, name, "is not a parameter of libpq")
        found[name] = _text(value, name)
    given = {name: value for name, value in found.items() if value}
    return SecretStr(joined(given))


def _text(value: Any, name: str) -> str:
    """A value in the form that libpq reads; empty if there is none."""
    if isinstance(value, list | dict):
        raise _refused(POSTGRES_CONNECTION, name, "is a list or an object, where libpq takes a text or a number")
    text = "" if value is None else str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if name not in FIELDS.values():
        text = BOOLEANS.get(text.lower(), text)  # of JSON, and of a URI's query
    if "\0" in text or not _is_utf8(text):
        raise UserError(f"connection {POSTGRES_CONNECTION}: {name!r} holds NUL characters or bytes that are not UTF-8")
    return text


def store_connection(scheme: str) -> str:
    """The name of the connection to the store of a scheme."""
    return f"image_retrieval_{scheme}"


def with_stores(settings: Settings, connections: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the object stores, changed by connections of Airflow, given by scheme.

    A connection replaces all of these values of its scheme: what it leaves out counts as unset. Raises UserError that
    names an extra that is not supported here.
    """
    found: dict[str, Any] = {"stores": dict(settings.stores)}
    for scheme, connection in connections.items():
        if BUCKETS[scheme].protocol != "s3":
            found["stores"][scheme] = cloud_store(scheme, connection, _extra(connection, store_connection(scheme)))
            continue
        values = _store_values(connection, store_connection(scheme))
        if scheme == "s3":
            found |= {f"s3_{field}": value for field, value in values.items()}
        if scheme != "s3" or scheme in settings.stores:  # an entry is stronger than the variables
            former = settings.stores.get(scheme, Store())
            found["stores"][scheme] = former.model_copy(update=values)
    return found


def _store_values(connection: Any, store: str) -> dict[str, Any]:
    """Keys, endpoint and region of a connection of this name."""
    if connection.conn_type not in (None, "aws", "s3", "generic"):
        raise UserError(f"connection {store} is of another type than aws")
    extra = _extra(connection, store)
    for name, value in extra.items():
        if name in S3_EXTRAS or value in (None, "", {}) or (name == "verify" and value is True):
            continue
        if name != LEFT_TO_AIRFLOW:
            raise _refused(store, name, f"is not supported: known are {', '.join(sorted(S3_EXTRAS))}")
        log.warning("only Airflow itself uses this part of the connection", connection=store, extra=name)
    service = extra.get("service_config") or {}
    for_s3 = service.get("s3") or {} if isinstance(service, Mapping) else {}
    endpoint = for_s3.get("endpoint_url") if isinstance(for_s3, Mapping) else None
    keys = {
        "aws_access_key_id": connection.login or extra.get("aws_access_key_id"),
        "aws_secret_access_key": connection.password or extra.get("aws_secret_access_key"),
    }
    texts = {"endpoint_url": endpoint or extra.get("endpoint_url"), "region_name": extra.get("region_name")}
    for name, value in (keys | texts).items():
        if value is not None and not (isinstance(value, str) and _is_utf8(value) and value.isprintable()):
            raise _refused(store, name, "is not a text of one line")
    if bool(keys["aws_access_key_id"]) != bool(keys["aws_secret_access_key"]):
        raise UserError(f"connection {store} has only one of login and password: give both keys, or none")
    return {
        "access_key_id": SecretStr(keys["aws_access_key_id"]) if keys["aws_access_key_id"] else None,
        "secret_access_key": SecretStr(keys["aws_secret_access_key"]) if keys["aws_secret_access_key"] else None,
        "endpoint_url": texts["endpoint_url"] or None,
        "region": texts["region_name"] or None,
    }


def _extra(connection: Any, name: str) -> dict[str, Any]:
    try:
        found = json.loads(connection.extra or "{}")
    except ValueError:  # not chained, since its context would contain the text
        found = None
    if not isinstance(found, dict):
        raise UserError(f"connection {name}: its extra is not a JSON object")
    return found


def _refused(connection: str, name: str, why: str) -> UserError:
    return UserError(f"connection {connection}: {name[:60]!a} of its extra {why}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeError:
        return False
    return True
