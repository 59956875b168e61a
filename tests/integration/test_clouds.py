"""Google's and Azure's schemes, on real servers that speak their protocols, keep the contract of every store."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest
from azure.storage.blob import generate_container_sas
from azurite_server import ACCOUNT, azurite, lacking
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.image_inputs import image_bytes
from image_retrieval.local.processes import HOST, free_port, stop
from image_retrieval.local.seaweedfs import start_seaweedfs
from image_retrieval.objects import (
    AccessRefused,
    NotDeleted,
    ObjectChanged,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    StoreUnavailable,
)
from image_retrieval.settings import load_settings
from integration.pictures import FIRST, LATER, put
from integration.tables import rows

DATA = bytes(range(256)) * 40
CLOUDS = ("gs", "gs://images", "az")
KEYS = ("endpoint_url", "access_key_id", "secret_access_key")
# characters that names of each store have in common; `.` alone is none, nor is what begins or ends with a `/`
NAMES = st.lists(st.text("abä😀 #?%&+=,;~'\"<>", min_size=1, max_size=8), min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def entries(services_folder, tmp_path_factory):
    """Entries of the settings: a store like Google's without keys, the suite's own as such with keys, and Azure's."""
    folder, port = tmp_path_factory.mktemp("open"), free_port(8800)
    pid = start_seaweedfs(folder, port, "", "", ("photos",))
    own = dict(line.split("=", 1) for line in (services_folder / "services.env").read_text().splitlines())
    found = {
        "gs": {"endpoint_url": f"http://{HOST}:{port}", "anonymous": True},
        "gs://images": {key: own[f"IMAGE_RETRIEVAL_S3_{key.upper()}"] for key in KEYS},
    }
    try:
        if lacking():
            yield found
            return
        with azurite(tmp_path_factory.mktemp("azure"), ("photos",)) as entry:
            yield found | {"az": entry}
    finally:
        stop({"pid": pid, "started": None})


@pytest.fixture(params=CLOUDS)
def cloud(request, entries):
    """The name of an entry, if its store is here."""
    if request.param not in entries:
        pytest.skip(str(lacking()))
    return request.param


@pytest.fixture
def objects(project, entries, monkeypatch) -> ObjectStore:
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps(entries))
    return ObjectStore(load_settings())


@pytest.fixture
def root(cloud, objects, project):
    """A prefix of the test's own in a bucket of the cloud."""
    bucket = cloud if "://" in cloud else f"{cloud}://photos"
    prefix = f"{bucket}/{project.work_uri.rstrip('/').rpartition('/')[2]}/"
    yield prefix
    objects.delete_under(prefix)


def listed(objects, prefix, cuts=None):
    return {entry.key: entry for page in objects.pages(prefix, cuts=cuts) for entry in page}


def test_what_is_written_is_read_and_listed_at_its_version(objects, root, tmp_path):
    objects.write(f"{root}in/a.jpg", DATA)
    found = listed(objects, root)["in/a.jpg"]
    assert (found.uri, found.size, found.last_modified.utcoffset().total_seconds()) == (f"{root}in/a.jpg", len(DATA), 0)
    told = objects.stat(found.uri)
    assert (told.etag, told.size, told.key) == (found.etag, len(DATA), found.uri)
    assert objects.read(found.uri, etag=found.etag, size=len(DATA), limit=len(DATA)) == DATA
    with pytest.raises(ObjectTooLarge, match="over the limit"):
        objects.read(found.uri, limit=len(DATA) - 1)
    file = tmp_path / "b.bin"
    file.write_bytes(DATA)
    objects.upload(file, f"{root}in/b.bin")
    with objects.open(f"{root}in/b.bin") as stream:
        assert (stream.seek(-7, 2), stream.read(), stream.seek(3), stream.read(4)) == (
            len(DATA) - 7,
            DATA[-7:],
            3,
            DATA[3:7],
        )
    objects.write(f"{root}in/empty", b"")
    assert objects.read(f"{root}in/empty") == b""


def test_a_range_is_read_at_its_version(objects, root):
    uri = f"{root}a.tar"
    objects.write(uri, DATA)
    etag = objects.stat(uri).etag
    assert objects.read_range(uri, (5, 300), etag=etag, limit=len(DATA)) == DATA[5:300]
    assert objects.read_range(uri, (300, 300), etag=etag) == b""
    objects.write(uri, b"x" * len(DATA))
    with pytest.raises(ObjectChanged):
        objects.read_range(uri, (5, 300), etag=etag)


def test_user_metadata_and_tags_are_read(cloud, objects, root):
    uri = f"{root}a.jpg"
    assert (objects.user_metadata(uri), objects.tags(uri)) == (None, None)
    objects.write(uri, DATA)
    assert (objects.user_metadata(uri)[1], objects.tags(uri)) == ({}, {})
    inner = objects._of(uri)
    if cloud == "az":
        inner._blob(uri).set_blob_metadata({"caption": "a cat"})
        inner._blob(uri).set_blob_tags({"state": "sold"})
    else:
        name = {"Bucket": uri.split("/")[2], "Key": uri.split("/", 3)[3]}
        inner._client.put_object(**name, Body=DATA, Metadata={"caption": "a cat"}, Tagging="state=sold")
    entry, told = objects.user_metadata(uri)
    assert (entry, told, objects.tags(uri)) == (objects.stat(uri), {"caption": "a cat"}, {"state": "sold"})


def test_another_version_than_was_listed_is_not_taken(objects, root):
    uri = f"{root}a.jpg"
    objects.write(uri, DATA)
    before = objects.stat(uri).etag
    with objects.open(uri) as stream:
        objects.write(uri, b"x" * len(DATA))
        with pytest.raises(ObjectChanged):
            stream.read()
    with pytest.raises(ObjectChanged, match=r"a\.jpg is not the version that was listed"):
        objects.read(uri, etag=before, size=len(DATA))
    assert objects.stat(uri).etag != before


def test_an_object_is_created_once(objects, root):
    assert objects.create(f"{root}a", b"first")
    assert not objects.create(f"{root}a", b"second")
    assert objects.read(f"{root}a") == b"first"


def test_what_is_not_there_is_told_or_ignored(objects, root):
    with pytest.raises(ObjectMissing, match="does not exist"):
        objects.read(f"{root}none")
    with pytest.raises(ObjectMissing):
        objects.open(f"{root}none")
    assert objects.stat(f"{root}none") is None
    assert listed(objects, root) == {}
    objects.delete([f"{root}none"])
    scheme = root.partition("://")[0]
    with pytest.raises(UserError, match=r"^(bucket|container) 'nobody' does not exist at http[^\n]*create it"):
        listed(objects, f"{scheme}://nobody/in/")


@given(names=st.sets(NAMES, min_size=1, max_size=8))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_names_come_back_as_they_were_written(objects, root, names):
    names = {name for name in names if not any(name.startswith(f"{other}/") for other in names)}  # folders of SeaweedFS
    for name in names:
        objects.write(root + name, name.encode())
    assert set(listed(objects, root)) == names
    assert {name: objects.read(root + name).decode() for name in names} == {name: name for name in names}
    objects.delete([root + name for name in names])
    assert listed(objects, root) == {}


def test_many_objects_are_listed_in_pages_and_in_ranges(objects, root, monkeypatch):
    monkeypatch.setattr("image_retrieval.objects.az_listing.PAGE", 7)
    names = sorted(f"{number:02}" for number in range(40))
    put(objects, root, dict.fromkeys(names, b"a"))
    pages = [[entry.key for entry in page] for page in objects.pages(root)]
    assert list(chain.from_iterable(pages)) == names  # in the order of the names
    assert len(pages) == (6 if root.startswith("az") else 1)
    assert sorted(listed(objects, root, cuts=[f"{root}{name}" for name in names[::9]])) == names


def test_wrong_keys_are_told_with_their_entry(objects, root, cloud, entries, monkeypatch):
    if cloud == "gs":
        pytest.skip("this store wants no keys")
    wrong = {"account_key": "d3Jvbmc="} if cloud == "az" else {"access_key_id": "key", "secret_access_key": "wrong"}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({cloud: entries[cloud] | wrong}))
    with pytest.raises(UserError, match=f"refuses access to .* the entry '{cloud}' of IMAGE_RETRIEVAL_STORES") as told:
        ObjectStore(load_settings()).read(f"{root}a.jpg")
    assert not {*wrong.values()} & set(str(told.value).split())


@pytest.mark.parametrize("cloud", ["az"], indirect=True)
def test_a_signature_opens_what_it_says(objects, root, entries, monkeypatch):
    objects.write(f"{root}a.jpg", DATA)
    entry = entries["az"]
    signature = generate_container_sas(
        ACCOUNT, "photos", entry["account_key"], permission="rl", expiry=datetime.now(UTC) + timedelta(hours=1)
    )
    signed = {"endpoint_url": entry["endpoint_url"], "sas_token": f"?{signature}"}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({"az": entry, "az://photos": signed}))
    reader = ObjectStore(load_settings())
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(reader.read, [f"{root}a.jpg"] * 64)) == {DATA}
    assert list(listed(reader, root)) == ["a.jpg"]
    with pytest.raises(AccessRefused, match="the entry 'az://photos' of IMAGE_RETRIEVAL_STORES") as refused:
        reader.write(f"{root}b.jpg", DATA)
    assert "sig=" not in str(refused.value)
    with pytest.raises(NotDeleted, match="did not delete 1 of 1 objects"):
        reader.delete([f"{root}a.jpg"])


def test_a_store_that_is_down_is_unavailable(project, cloud, entries, monkeypatch):
    monkeypatch.setattr("image_retrieval.objects.az_client.RETRIES", 0)
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.001)
    down = entries[cloud] | {"endpoint_url": f"http://{HOST}:{free_port(9900)}/testaccount"}
    monkeypatch.setenv("IMAGE_RETRIEVAL_STORES", json.dumps({cloud: down}))
    bucket = cloud if "://" in cloud else f"{cloud}://photos"
    with pytest.raises(StoreUnavailable, match="does not answer"):
        ObjectStore(load_settings()).read(f"{bucket}/a.jpg")


@pytest.mark.parametrize("cloud", ["gs", "az"], indirect=True)
def test_a_run_keeps_a_table_in_step_with_a_bucket(objects, root, report, change_collection, database_url):
    change_collection(source=root)
    put(objects, root, FIRST)
    found = report("run", "things")
    assert (found["state"], found["new"], found["upserted"]) == ("success", len(FIRST), len(FIRST))
    assert dict(rows(database_url, "SELECT uri, etag FROM retrieval.image")) == {
        entry.uri: entry.etag for entry in listed(objects, root).values()
    }
    first, second = list(FIRST)[:2]
    objects.delete([root + first])
    objects.write(root + second, LATER[next(iter(LATER))])
    put(objects, root, dict(list(LATER.items())[1:]))
    again = report("run", "things")
    assert (again["new"], again["changed"], again["gone"]) == (len(LATER) - 1, 1, 1)
    paths = {path for (path,) in rows(database_url, "SELECT image_path FROM images.things")}
    assert paths == {entry.uri for entry in listed(objects, root).values()}


@pytest.mark.parametrize("cloud", ["gs", "az"], indirect=True)
def test_the_work_folder_and_the_model_may_be_there(
    objects, root, report, change_collection, database_url, monkeypatch, random_model
):
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"{root}work/")
    for file in random_model.iterdir():
        objects.upload(file, f"{root}model/{file.name}")
    change_collection(source=f"{root}in/", model={"name": "random", "source": f"{root}model/"})
    put(objects, f"{root}in/", dict(list(FIRST.items())[:3]))
    assert report("run", "things")["upserted"] == 3
    kept = rows(database_url, "SELECT resampled_image_path FROM images.things")
    assert all(uri.startswith(f"{root}work/") and objects.exists(uri) for (uri,) in kept)


def test_an_index_file_may_name_members_of_several_clouds(
    objects, project, entries, report, change_collection, database_url, store, collection
):
    schemes = [f"{name}://photos/" if "://" not in name else f"{name}/" for name in entries]
    uris = [f"{bucket}members/{key}" for bucket, key in zip(schemes, FIRST, strict=False)]
    for uri, data in zip(uris, FIRST.values(), strict=False):
        objects.write(uri, data)
    index = f"{collection.source}list.txt"
    objects.write(index, "\n".join([*uris, f"{schemes[0]}members/none.jpg"]).encode())
    change_collection(source=index, id_pattern=None)
    found = report("run", "things")
    assert (found["state"], found["upserted"]) == ("success", len(uris))
    assert {path for (path,) in rows(database_url, "SELECT image_path FROM images.things")} == set(uris)
    assert rows(database_url, "SELECT reason FROM retrieval.rejected") == [("not_found",)]


def test_a_picture_of_a_search_may_be_there_if_the_list_of_sources_has_it(objects, root):
    key, data = next(iter(FIRST.items()))
    objects.write(root + key, data)
    allowed = load_settings().model_copy(update={"allowed_sources": (root,)})
    assert image_bytes(root + key, "image_url", allowed) == data
    with pytest.raises(UserError, match="outside what this installation may read"):
        image_bytes(f"{root[:-1]}2/a.jpg", "image_url", allowed)


@pytest.mark.parametrize("cloud", ["az"], indirect=True)
def test_what_is_not_on_the_list_of_sources_is_not_read(objects, root, command, change_collection):
    change_collection(source=root)
    done = command("run", "things", IMAGE_RETRIEVAL_ALLOWED_SOURCES=f'["{root}other/"]')
    assert done.returncode != 0
    assert "outside what this installation may read" in done.stderr
