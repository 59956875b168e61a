"""Airflow's connections to Google's and Azure's stores: their fields become entries; what does not is refused."""

import json

import pytest
from airflow.sdk import Connection

from image_retrieval.errors import UserError
from orchestration.configuration import _settings

KEY = "aGlkZGVu"  # Base64
ACCOUNT = {"type": "service_account", "private_key": "hidden\n"}


def entry(monkeypatch, scheme, former=None, **connection):
    """The entry of the settings that a connection makes, as JSON."""
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({scheme: former} if former else {}))
    monkeypatch.setenv(f"AIRFLOW_CONN_IMAGE_RETRIEVAL_{scheme.upper()}", json.dumps(connection))
    settings = _settings(Connection.get)
    assert "hidden" not in repr(settings)
    assert KEY not in repr(settings)
    return json.loads(settings.environment()["IMAGE_RETRIEVAL_STORES"])[scheme]


@pytest.mark.parametrize("prefix", ["", "extra__google_cloud_platform__"])
@pytest.mark.parametrize("given", [ACCOUNT, json.dumps(ACCOUNT)])
def test_a_key_file_of_google_comes_through_whole(monkeypatch, prefix, given):
    extra = {f"{prefix}keyfile_dict": given, f"{prefix}project": "p", f"{prefix}key_path": "", "num_retries": 5}
    found = entry(monkeypatch, "gs", conn_type="google_cloud_platform", extra=extra)
    assert {**found, "service_account": json.loads(found["service_account"])} == {"service_account": ACCOUNT}


def test_google_may_have_a_path_or_keys_for_s3s_protocol(monkeypatch):
    found = entry(monkeypatch, "gs", conn_type="google_cloud_platform", extra={"key_path": "/run/secrets/key.json"})
    assert found == {"service_account": "/run/secrets/key.json"}
    found = entry(monkeypatch, "gs", {"anonymous": True}, conn_type="generic", login="GOOG", password="hidden")
    assert found == {"access_key_id": "GOOG", "secret_access_key": "hidden"}


def test_azure_has_a_key_or_a_signature_and_may_have_an_endpoint(monkeypatch):
    url = "https://myaccount.blob.core.chinacloudapi.cn"
    found = entry(monkeypatch, "az", conn_type="wasb", login="myaccount", password=KEY, host=url)
    assert found == {"account": "myaccount", "account_key": KEY, "endpoint_url": url}
    former = {"account": "other", "account_key": KEY}
    found = entry(monkeypatch, "az", former, conn_type="wasb", login="myaccount", extra={"sas_token": "hidden"})
    assert found == {"account": "myaccount", "sas_token": "hidden"}
    assert entry(monkeypatch, "az", former, conn_type="wasb", login="myaccount") == {"account": "myaccount"}


@pytest.mark.parametrize(
    ("scheme", "connection", "told"),
    [
        ("az", {"conn_type": "aws"}, "image_retrieval_az is of another type than wasb"),
        ("gs", {"conn_type": "wasb"}, "image_retrieval_gs is of another type than google_cloud_platform"),
        ("az", {"conn_type": "wasb", "extra": {"tenant_id": "hidden"}}, "'tenant_id' of its extra is not supported"),
        ("az", {"conn_type": "wasb", "extra": {"connection_string": "hidden"}}, "'connection_string' of its extra"),
        ("gs", {"conn_type": "google_cloud_platform", "extra": {"credential_config_file": "hidden"}}, "'credential_co"),
        ("az", {"conn_type": "wasb", "login": "me", "password": "hidden!"}, "account"),
        ("az", {"conn_type": "wasb", "login": "myaccount", "password": "hidden!"}, "account_key: is not Base64"),
        ("gs", {"conn_type": "google_cloud_platform", "login": "hidden"}, "give both access_key_id and secret"),
        (
            "gs",
            {"conn_type": "google_cloud_platform", "extra": {"keyfile_dict": "hidden"}},
            "service_account: is neith",
        ),
    ],
)
def test_what_is_wrong_is_told_without_its_values(monkeypatch, scheme, connection, told):
    with pytest.raises(UserError, match=rf"^connection [^\n]*{told}") as refused:
        entry(monkeypatch, scheme, **connection)
    assert "hidden" not in str(refused.value)
