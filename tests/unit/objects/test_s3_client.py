"""What people write into the settings of a store, and what the environment holds beside them."""

import boto3
import pytest

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore, StoreUnavailable
from image_retrieval.objects.s3_client import is_loopback
from image_retrieval.settings import Settings

KEYS = {"s3_access_key_id": "key", "s3_secret_access_key": "secret"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the environment of its first use
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_CA_BUNDLE", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def told(**settings) -> str:
    with pytest.raises(UserError) as error:
        ObjectStore(Settings(**{"s3_endpoint_url": NOWHERE, **KEYS, **settings})).read("s3://bucket/a.jpg")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", ["{url}", "{url}/", "http://localhost:{port}", "http://localhost:{port}/"])
def test_a_store_is_named_in_any_form(odd, form):
    odd.objects = {"a.jpg": b"a"}
    endpoint = form.format(url=odd.url, port=odd.server_port)
    assert ObjectStore(odd.settings(s3_endpoint_url=endpoint)).read("s3://bucket/a.jpg") == b"a"


@pytest.mark.parametrize("path", ["/storage/v1/s3", "/storage/v1/s3/"])
def test_a_store_may_lie_under_a_path(odd, path):
    odd.objects = {"a.jpg": b"a"}
    with pytest.raises(UserError):  # which this store has not; but that is where it was asked
        ObjectStore(odd.settings(s3_endpoint_url=odd.url + path)).read("s3://bucket/a.jpg")
    assert odd.asked == ["GET /storage/v1/s3/bucket/a.jpg"]


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:8333", "host", "s3://host", "http://", "http:///path", "http://host:port", "http://ho st"]
)
def test_an_endpoint_that_is_no_url_is_told(endpoint):
    assert "IMAGE_RETRIEVAL_S3_ENDPOINT_URL is not an http:// or https:// URL" in told(s3_endpoint_url=endpoint)


@pytest.mark.parametrize("endpoint", ["http://me:hidden@host/", "https://host/?secret=hidden"])
def test_keys_in_an_endpoint_are_refused_and_not_repeated(endpoint):
    message = told(s3_endpoint_url=endpoint)
    assert "keys have their own settings" in message
    assert "hidden" not in message


def test_a_profile_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert "AWS_PROFILE names the profile 'work'" in told()


@pytest.mark.parametrize("region", ["eu central 1", "eu_central", "-"])
def test_a_region_that_is_none_is_named(region):
    message = told(s3_region=region)
    assert repr(region) in message
    assert "IMAGE_RETRIEVAL_S3_REGION" in message


def test_a_configuration_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[profile\nregion")
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert "AWS_CONFIG_FILE" in told()


def test_one_key_without_the_other_is_told():
    assert "set both" in told(s3_secret_access_key=None)


def test_no_keys_are_told():
    assert "no credentials" in told(s3_access_key_id=None, s3_secret_access_key=None)


def test_a_ca_bundle_that_is_not_there_matters_to_https_only(odd, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such/file")
    assert "AWS_CA_BUNDLE names /no/such/file" in told(s3_endpoint_url="https://127.0.0.1:9")
    odd.objects = {"a.jpg": b"a"}
    assert ObjectStore(odd.settings()).read("s3://bucket/a.jpg") == b"a"


def test_https_spoken_to_a_port_of_http_is_told(odd):
    message = told(s3_endpoint_url=odd.url.replace("http:", "https:"), s3_timeout_seconds=1)
    assert "TLS with the object store" in message
    assert "IMAGE_RETRIEVAL_S3_ENDPOINT_URL" in message


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_stands_before_this_machine(odd, monkeypatch, name, host):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    odd.objects = {"a.jpg": b"a"}
    endpoint = odd.url.replace("127.0.0.1", host)
    assert ObjectStore(odd.settings(s3_endpoint_url=endpoint)).read("s3://bucket/a.jpg") == b"a"


def test_a_proxy_stands_before_other_machines(odd, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", odd.url)
    monkeypatch.setenv("http_proxy", odd.url)
    with pytest.raises(UserError):
        ObjectStore(odd.settings(s3_endpoint_url="http://store.example")).read("s3://bucket/a.jpg")
    assert odd.asked == ["GET http://store.example/bucket/a.jpg"]


def test_a_proxy_that_does_not_answer_is_named(odd, monkeypatch):
    monkeypatch.setenv("https_proxy", NOWHERE)
    with pytest.raises(StoreUnavailable, match="the proxy of HTTP_PROXY or HTTPS_PROXY"):
        ObjectStore(odd.settings(s3_endpoint_url="https://store.example")).read("s3://bucket/a.jpg")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1", "127.8.9.10")),
        *((host, True) for host in ("::1", "::ffff:127.0.0.1")),
        *((host, False) for host in ("localhost.example", "128.0.0.1", "10.0.0.1", "::2", "store.example", "")),
    ],
)
def test_this_machine_is_told_by_name_and_address(host, expected):
    assert is_loopback(host) is expected
