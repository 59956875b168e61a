"""What of Airflow's connections counts, and what is refused by name; secrets with any letters come through whole."""

import json
from types import SimpleNamespace

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from image_retrieval.errors import UserError
from image_retrieval.schemes import BUCKETS
from image_retrieval.settings import Settings
from image_retrieval.store.connection_string import address, where
from orchestration.configuration import _settings
from orchestration.connections import connection_string, with_stores

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)


def store_settings(connection: object) -> dict[str, object]:
    found = with_stores(Settings(), {"s3": connection})
    assert found.pop("stores") == {}
    return found


def postgres(extra: object = None, **fields: object) -> SimpleNamespace:
    known = {
        "conn_type": "postgres",
        "host": "host",
        "schema": "images",
        "login": "me",
        "password": "hidden",
        "port": 7,
    }
    return SimpleNamespace(extra=extra if isinstance(extra, str) else json.dumps(extra or {}), **(known | fields))


def aws(extra: object = None, **fields: object) -> SimpleNamespace:
    return postgres(extra, **({"conn_type": "aws", "login": "key", "password": "secret"} | fields))


@given(TEXTS, TEXTS, TEXTS)
def test_login_password_and_database_come_through_whole(login, password, database):
    url = connection_string(postgres(login=login, password=password, schema=database))
    parts = conninfo_to_dict(url.get_secret_value())
    assert (parts["user"], parts["password"], parts["dbname"]) == (login, password, database)


def test_all_but_the_secrets_may_be_shown():
    extra = {"sslmode": "require", "sslpassword": "hidden", "options": "-c statement_timeout=5000"}
    settings = Settings(database_url=connection_string(postgres(extra)))
    assert address(settings).is_clear
    assert where(settings) == "database 'images' on host:7"


@pytest.mark.parametrize(
    ("given_value", "taken"), [(True, "1"), (False, "0"), ("true", "1"), (1, "1"), (30.0, "30"), ("30", "30")]
)
def test_values_are_what_libpq_takes(given_value, taken):
    parts = conninfo_to_dict(connection_string(postgres({"keepalives": given_value})).get_secret_value())
    assert parts["keepalives"] == taken


def test_an_extra_comes_before_a_field():
    parts = conninfo_to_dict(connection_string(postgres({"dbname": "other", "host": None})).get_secret_value())
    assert (parts["dbname"], "host" in parts) == ("other", False)


@pytest.mark.parametrize(
    "extra",
    [
        {"cursor": "dictcursor"},
        {"sqlalchemy_scheme": "postgresql+psycopg", "sqlalchemy_query": {"a": "b"}},
        {"iam": False, "redshift": "false", "aws_conn_id": "aws_default", "cluster-identifier": "one"},
    ],
)
def test_what_only_airflows_hook_reads_is_left_out(extra):
    assert connection_string(postgres(extra)) == connection_string(postgres())


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"sslmod": "hidden"}, "'sslmod' of its extra is not a parameter of libpq"),
        ({"iam": True}, "'iam' of its extra is a login of Airflow's hook"),
        ({"redshift-serverless": "true"}, "'redshift-serverless' of its extra is a login"),
        ({"azure_conn_id": "hidden"}, "'azure_conn_id' of its extra is a login"),
        ({"options": ["hidden"]}, "'options' of its extra is a list or an object"),
        ({"sslcert": "hidden\0"}, "'sslcert' holds NUL characters"),
        ("hidden", "its extra is not a JSON object"),
        ('["hidden"]', "its extra is not a JSON object"),
    ],
)
def test_a_wrong_extra_is_told_by_its_name(extra, told):
    with pytest.raises(UserError, match=rf"^connection image_retrieval_postgres: [^\n]*{told}[^\n]*$") as refused:
        connection_string(postgres(extra))
    assert "hidden" not in str(refused.value)
    assert refused.value.__context__ is None


@given(KEYS, KEYS)
def test_keys_come_through_whole(login, password):
    found = store_settings(aws(login=login, password=password))
    assert (found["s3_access_key_id"].get_secret_value(), found["s3_secret_access_key"].get_secret_value()) == (
        login,
        password,
    )


@pytest.mark.parametrize(
    ("extra", "endpoint", "region"),
    [
        ({}, None, None),
        ({"endpoint_url": "http://host:1", "region_name": "eu"}, "http://host:1", "eu"),
        ({"endpoint_url": "http://all", "service_config": {"s3": {"endpoint_url": "http://s3"}}}, "http://s3", None),
        ({"service_config": {"sts": {"endpoint_url": "http://sts"}}}, None, None),
        ({"profile_name": None, "config_kwargs": {}, "verify": True, "role_arn": ""}, None, None),
        ({"config_kwargs": {"s3": {"addressing_style": "path"}}}, None, None),
    ],
)
def test_what_a_store_connection_says(extra, endpoint, region):
    assert store_settings(aws(extra)) == {
        "s3_access_key_id": SecretStr("key"),
        "s3_secret_access_key": SecretStr("secret"),
        "s3_endpoint_url": endpoint,
        "s3_region": region,
    }


def test_keys_may_stand_in_the_extra():
    found = store_settings(aws({"aws_access_key_id": "k", "aws_secret_access_key": "s"}, login=None, password=None))
    assert found["s3_access_key_id"] == SecretStr("k")


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        (aws({"role_arn": "hidden"}), "'role_arn' of its extra is not supported"),
        (aws({"profile_name": "hidden"}), "'profile_name' of its extra is not supported"),
        (aws({"aws_session_token": "hidden"}), "'aws_session_token' of its extra is not supported"),
        (aws({"verify": False}), "'verify' of its extra is not supported"),
        (aws({"endpoint": "hidden"}), "'endpoint' of its extra is not supported"),
        (aws({"region_name": 7}), "'region_name' of its extra is not a text"),
        (aws(password="hidden\n"), "'aws_secret_access_key' of its extra is not a text of one line"),
        (aws(password=None), "has only one of login and password"),
        (aws(conn_type="postgres"), "another type than aws"),
        (aws("hidden"), "its extra is not a JSON object"),
    ],
)
def test_a_wrong_store_connection_is_told_by_name(connection, told):
    with pytest.raises(UserError, match=rf"^connection image_retrieval_s3[^\n]*{told}[^\n]*$") as refused:
        store_settings(connection)
    assert "hidden" not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    "scheme", [scheme for scheme, cloud in BUCKETS.items() if cloud.protocol == "s3" and scheme != "s3"]
)
def test_each_cloud_has_a_connection_of_its_own(monkeypatch, scheme):
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({scheme: {"region": "former", "addressing": "path"}}))
    extra = {"endpoint_url": "http://host:1"}
    told = json.dumps({"conn_type": "aws", "login": "key", "password": "hidden", "extra": extra})
    monkeypatch.setenv(f"AIRFLOW_CONN_IMAGE_RETRIEVAL_{scheme.upper()}", told)
    settings = _settings(Connection.get)
    assert json.loads(settings.environment()["IMAGE_RETRIEVAL_STORES"]) == {
        scheme: {"endpoint_url": "http://host:1", "access_key_id": "key", "secret_access_key": "hidden"}
        | {"addressing": "path"}
    }
    assert settings.s3_access_key_id is None
    assert "hidden" not in repr(settings)


def test_the_connection_to_s3_comes_before_an_entry_of_the_settings(monkeypatch):
    former = {"endpoint_url": "http://former:1", "addressing": "path"}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({"s3": former, "s3://own": former}))
    told = json.dumps(
        {"conn_type": "aws", "login": "key", "password": "hidden", "extra": {"endpoint_url": "http://host:1"}}
    )
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_RETRIEVAL_S3", told)
    settings = _settings(Connection.get)
    assert (settings.s3_endpoint_url, settings.stores["s3"].endpoint_url) == ("http://host:1", "http://host:1")
    assert (settings.stores["s3"].addressing, settings.stores["s3://own"].endpoint_url) == ("path", "http://former:1")


def test_a_wrong_connection_of_a_cloud_is_told_by_its_name():
    with pytest.raises(UserError, match=r"^connection image_retrieval_oss: 'role_arn' of its extra is not supported"):
        with_stores(Settings(), {"oss": aws({"role_arn": "hidden"})})


def nothing(name: str) -> None:
    raise AirflowNotFoundException(name)


@pytest.mark.parametrize("name", ["POSTGRES", *map(str.upper, BUCKETS)])
@pytest.mark.parametrize("value", ["postgresql://me:hid/den@host/images", '{"host": "hidden"', '{"pasword": "hidden"}'])
def test_a_connection_that_airflow_cannot_read_is_not_passed_over(monkeypatch, name, value):
    variable = f"AIRFLOW_CONN_IMAGE_RETRIEVAL_{name}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=rf"^{variable} holds no connection[^\n]*encode @ as %40[^\n]*$") as refused:
        _settings(Connection.get)
    assert refused.value.__context__ is None


def test_without_connections_the_environment_counts(monkeypatch):
    monkeypatch.setenv("IMAGE_RETRIEVAL_DATABASE_URL", "postgresql://host/images")
    assert _settings(nothing).database() == "postgresql://host/images"
