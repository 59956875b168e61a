"""Each scheme reaches its own store, with its own keys, as the store wants it."""

import json
import re
from pathlib import Path

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.objects import NotDeleted, ObjectStore, StoreUnavailable
from image_retrieval.objects.access import access, entry_name
from image_retrieval.objects.uris import root_of, split_s3
from image_retrieval.redaction import redacted
from image_retrieval.schemes import BUCKETS, is_bucket, is_object
from image_retrieval.settings import Settings, load_settings

ROOT = Path(__file__).parents[3]
AZURE = {"account_key": "a2V5"}
KEYS = {"access_key_id": "key", "secret_access_key": "never-shown"}
VARIABLE = "IMAGE_RETRIEVAL_STORES"
CLOUDS = [scheme for scheme, cloud in BUCKETS.items() if cloud.protocol == "s3" and scheme != "s3"]
KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


def with_stores(**entries) -> Settings:
    return Settings(stores=entries)


@pytest.fixture
def behind_a_name(odd, monkeypatch):
    """The odd store answers for every host that is not loopback."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, odd.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return odd


@pytest.mark.parametrize("scheme", CLOUDS)
def test_a_store_that_refuses_path_style_is_read_written_listed_and_emptied(behind_a_name, scheme):
    behind_a_name.virtual = behind_a_name.wants_md5 = True
    store = ObjectStore(with_stores(**{scheme: {"endpoint_url": "http://store.example", "region": "here", **KEYS}}))
    root = f"{scheme}://bucket/"
    store.write(f"{root}in/a.jpg", b"a")
    assert store.create(f"{root}in/b ü.jpg", b"b")
    assert store.read(f"{root}in/a.jpg") == b"a"
    with store.open(f"{root}in/b ü.jpg") as stream:
        assert stream.read() == b"b"
    listed = [entry for page in store.pages(f"{root}in/") for entry in page]
    assert [(entry.uri, entry.key) for entry in listed] == [(f"{root}in/{name}", name) for name in ("a.jpg", "b ü.jpg")]
    assert store.stat(f"{root}in/a.jpg").uri == f"{root}in/a.jpg"
    store.delete_under(f"{root}in/")
    assert behind_a_name.objects == {}
    assert {line.split("/")[2] for line in behind_a_name.asked} == {"bucket.store.example"}


def test_path_style_where_the_host_is_wanted_is_told(odd):
    odd.virtual = True
    store = ObjectStore(with_stores(oss={"endpoint_url": odd.url, "addressing": "path", **KEYS}))
    with pytest.raises(
        StoreUnavailable, match="set addressing of the entry 'oss' of IMAGE_RETRIEVAL_STORES to virtual"
    ):
        store.read("oss://bucket/a.jpg")
    with pytest.raises(StoreUnavailable, match="set addressing of an entry 's3' of IMAGE_RETRIEVAL_STORES to virtual"):
        ObjectStore(odd.settings()).read("s3://bucket/a.jpg")


def test_awss_own_configuration_may_say_where_the_bucket_is(behind_a_name, monkeypatch, tmp_path):
    behind_a_name.virtual = True
    behind_a_name.objects = {"a.jpg": b"a"}
    (tmp_path / "config").write_text("[default]\ns3 =\n    addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the configuration of its first use
    settings = behind_a_name.settings(s3_endpoint_url="http://store.example")
    assert ObjectStore(settings).read("s3://bucket/a.jpg") == b"a"


def test_a_list_of_objects_to_delete_has_the_digest_and_no_newer_checksum(odd, objects):
    odd.wants_md5 = True
    odd.objects = {"a": b"", "b": b""}
    objects.delete(["s3://bucket/a", "s3://bucket/b"])
    assert odd.objects == {}


def test_what_some_stores_refuse_to_delete_is_told_of_all(odd):
    odd.objects = {"kept": b"", "gone": b""}
    odd.refuse_delete = {"kept": "AccessDenied"}
    entry = {"endpoint_url": odd.url, "addressing": "path", **KEYS}
    store = ObjectStore(with_stores(obs=entry, tos=entry))
    with pytest.raises(NotDeleted) as refused:
        store.delete(["obs://bucket/kept", "tos://bucket/kept", "tos://bucket/gone"])
    assert refused.value.uris == ["obs://bucket/kept", "tos://bucket/kept"]
    assert set(odd.objects) == {"kept"}


@pytest.mark.parametrize(
    ("scheme", "region", "endpoint"),
    [
        ("tos", "cn-beijing", "https://tos-s3-cn-beijing.volces.com"),
        ("oss", "cn-hangzhou", "https://s3.oss-cn-hangzhou.aliyuncs.com"),
        ("cos", "ap-guangzhou", "https://cos.ap-guangzhou.myqcloud.com"),
        ("obs", "cn-north-4", "https://obs.cn-north-4.myhuaweicloud.com"),
        ("bos", "bj", "https://s3.bj.bcebos.com"),
    ],
)
def test_the_region_names_the_endpoint(scheme, region, endpoint):
    found = access(scheme, with_stores(**{scheme: {"region": region, **KEYS}}))
    assert (str(found), found.store.addressing) == (endpoint, "virtual")


def test_a_bucket_takes_from_its_scheme_what_its_entry_leaves_out(odd):
    settings = odd.settings(
        s3_region="all",
        stores={
            "s3://bucket": {"region": "one", "addressing": "virtual"},
            "oss": {"region": "cn-hangzhou", **KEYS},
            "oss://bucket": {"access_key_id": "other", "secret_access_key": "other"},
        },
    )
    assert entry_name("s3://bucket/a", settings) == "s3://bucket"
    assert entry_name("s3://buckets/a", settings) == entry_name("s3://other/bucket", settings) == "s3"
    assert access("s3", settings).store.region == "all"
    one = access("s3://bucket", settings).store
    assert (one.region, one.addressing, one.endpoint_url) == ("one", "virtual", odd.url)
    bucket = access("oss://bucket", settings).store
    assert (bucket.region, bucket.access_key_id.get_secret_value()) == ("cn-hangzhou", "other")


@pytest.mark.parametrize("scheme", CLOUDS)
def test_what_is_missing_is_told_with_its_entry(monkeypatch, scheme):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-aws")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-aws")
    for stores, told in (({}, "no region of"), ({scheme: {"region": "here"}}, "no keys for")):
        with pytest.raises(UserError, match=rf"^{told} [^\n]*entry '{scheme}' of {VARIABLE}[^\n]*$"):
            ObjectStore(with_stores(**stores)).read(f"{scheme}://bucket/a.jpg")


def test_a_client_is_made_once_for_each_entry(odd):
    store = ObjectStore(odd.settings(stores={"s3://bucket": {"region": "one"}}))
    assert store._of("s3://bucket/a") is store._of("s3://bucket/b")
    assert store._of("s3://others/a") is store._of("s3://more/b")
    assert store._of("s3://bucket/a") is not store._of("s3://others/b")


@given(st.sampled_from(list(BUCKETS)), KEY)
def test_a_uri_is_its_bucket_and_its_key(scheme, key):
    uri = f"{scheme}://bucket/{key}"
    assert split_s3(uri) == ("bucket", key)
    assert root_of(uri) + split_s3(uri)[1] == uri


def test_googles_buckets_alone_may_have_underscores_and_long_names():
    assert is_object("gs://my_bucket/a")
    assert is_bucket(f"gs://{'a' * 222}/")
    assert not any(is_bucket(f"{scheme}://{name}/") for scheme in ("s3", "az") for name in ("my_bucket", "a" * 64))
    assert not is_bucket("gs://_bucket/")


def test_a_login_of_a_bucket_replaces_the_one_of_its_scheme():
    stores = {"az": {"account": "one", **AZURE}, "az://public": {"anonymous": True}, "az://other": {"account": "two"}}
    found = {name: access(name, Settings(stores=stores)).store for name in stores}
    assert (found["az://public"].account, found["az://public"].account_key) == ("one", None)
    assert found["az://other"].endpoint_url == "https://two.blob.core.windows.net"
    assert found["az://other"].account_key == found["az"].account_key


@pytest.mark.parametrize("scheme", BUCKETS)
def test_every_scheme_is_a_source_whose_keys_are_shown_whole(scheme):
    source = f"{scheme}://bucket/what?is=@this/"
    assert redacted(f"{source} fails") == f"{source} fails"
    assert Collection(name="things", source=source, model=ModelOptions(name="m", source="none")).source == source


@pytest.mark.parametrize("scheme", BUCKETS)
def test_the_page_of_stores_has_each_as_the_table_says(scheme):
    text = (ROOT / "docs" / "stores.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{scheme}://`")]
    assert BUCKETS[scheme].title in row
    place = "host" if BUCKETS[scheme].addressing == "virtual" else "path"
    assert scheme == "s3" or f"`{BUCKETS[scheme].endpoint}` | in the {place} |" in row
    examples = [json.loads(found) for found in re.findall(f"{VARIABLE}='(.*)'", text)]
    assert any(scheme in {name.partition("://")[0] for name in example} for example in examples)
    assert all(Settings(stores=example).stores for example in examples)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{hidden", "is not JSON"),
        ('{"hdfs": {"region": "hidden"}}', "each entry is named s3, tos, oss"),
        ('{"oss://Hidden Bucket": {}}', "each entry is named"),
        ('{"oss": {"acces_key_id": "hidden"}}', "oss.acces_key_id: Extra inputs"),
        ('{"oss": {"access_key_id": "hidden"}}', "oss: give both access_key_id and secret_access_key"),
        ('{"oss": {"sas_token": "hidden"}}', "an entry of oss has no key sas_token: known are access_key_id, addr"),
        ('{"az": {"region": "hidden"}}', "an entry of az has no key region"),
        ('{"az": {"account": "Hidden!"}}', "az.account: String should match pattern"),
        ('{"az": {"account_key": "hidden!"}}', "az.account_key: is not Base64"),
        ('{"az": {"account_key": "aGlkZGVu", "sas_token": "hidden"}}', "az: give one login alone"),
        ('{"gs": {"service_account": "hidden"}}', "gs.service_account: is neither the content of a service account"),
        ('{"oss": {"addressing": "hidden"}}', "oss.addressing: Input should be 'auto', 'path' or 'virtual'"),
        (
            '{"oss://photos": {"secret_access_key": "hidden\\n", "access_key_id": "a"}}',
            "oss://photos.secret_access_key:",
        ),
        ('{"HIDDEN": {"hidden": "hidden"}}', "Extra inputs"),
        ('["hidden"]', "valid dictionary"),
    ],
)
def test_a_wrong_entry_is_told_without_its_values(monkeypatch, value, told):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UserError, match=rf"^setting {VARIABLE}: [^\n]*{told}") as refused:
        load_settings()
    assert "hidden" not in str(refused.value).replace("hidden: Extra", "").lower()


def test_entries_come_through_the_environment_and_are_never_shown(monkeypatch):
    stores = {"oss": {"region": "cn-hangzhou", **KEYS}, "s3://photos": {"endpoint_url": "http://host:1"}}
    monkeypatch.setenv(VARIABLE, json.dumps(stores))
    settings = load_settings()
    assert json.loads(settings.environment()[VARIABLE]) == stores
    assert "never-shown" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    monkeypatch.setenv(VARIABLE, settings.environment()[VARIABLE])
    assert load_settings() == settings
    monkeypatch.setenv(VARIABLE, "")
    assert load_settings().stores == {}
