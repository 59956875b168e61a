"""What a bucket keeps about its objects describes images: user metadata and tags, merged in a documented order."""

import json
import time
from dataclasses import asdict

import pytest

from image_retrieval.errors import UserError
from image_retrieval.objects import AccessRefused, ObjectStore
from image_retrieval.pipeline import object_metadata
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection
from integration.pictures import SCENES, put
from integration.tables import rows, versions

FEW = dict(list(SCENES.items())[:3])
KEYS = list(FEW)
STEMS = [key.rpartition(".")[0] for key in FEW]
SHOWN = "SELECT image_id, caption, attributes FROM images.things ORDER BY image_id"
REJECTED = "SELECT uri, reason FROM retrieval.rejected ORDER BY uri"


@pytest.fixture
def run(project, store, collection, change_collection):
    number = iter(range(100))

    def run(*, embed=True, **options):
        changed = change_collection(**{"id_pattern": None} | options)
        if embed:
            return run_collection(changed, f"run {next(number)}", project)
        plan = list_images(changed, f"run {next(number)}", project)  # as a run begins
        assert plan.shards == 0
        return asdict(plan)

    return run


@pytest.fixture
def bucket(store, collection):
    """The S3 client, and the parameters that name an object."""
    client = store._of(collection.source)._client
    folder = collection.source.removeprefix("s3://images/")
    return client, lambda key: {"Bucket": "images", "Key": folder + key}


@pytest.fixture
def asked(monkeypatch):
    """The objects that are asked for their metadata or tags."""
    found = []
    for name in ("user_metadata", "tags"):
        ask = getattr(ObjectStore, name)

        def counted(self, uri, name=name, ask=ask):
            found.append((name, uri.rpartition("/")[2]))
            return ask(self, uri)

        monkeypatch.setattr(ObjectStore, name, counted)
    return found


def tag(bucket, key, **tags):
    client, named = bucket
    client.put_object_tagging(**named(key), Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})


def write(bucket, key, **metadata):
    client, named = bucket
    client.put_object(**named(key), Body=FEW[key], Metadata=metadata)


def test_headers_and_tags_describe_and_a_change_writes_one_row(run, bucket, store, collection, database_url, asked):
    first, second, third = KEYS
    write(bucket, first, caption="of headers", colour="red", place="a")
    write(bucket, second)
    write(bucket, third, caption="of headers")
    tag(bucket, first, caption="of tags", colour="blue", state="new")
    tag(bucket, second, caption="of tags")
    beside = {"caption": "of json", "attributes": {"place": "b", "n": 1}}
    put(store, collection.source, {f"{STEMS[2]}.json": json.dumps(beside).encode()})
    kinds = ["tags", "headers", "sidecar"]
    report = run(metadata=kinds)
    assert (report["listed"], report["embedded"], report["rejected"]) == (3, 3, 0)
    expected = {
        STEMS[0]: ("of headers", {"colour": "red", "place": "a", "state": "new"}),
        STEMS[1]: ("of tags", {}),
        STEMS[2]: ("of json", {"place": "b", "n": 1}),
    }
    assert rows(database_url, SHOWN) == sorted((stem, *about) for stem, about in expected.items())

    asked.clear()
    before = versions(database_url)
    run(embed=False, metadata=kinds)
    assert [name for name, _ in asked] == ["tags"] * 3
    assert versions(database_url) == before

    tag(bucket, second, caption="anew", state="sold")
    run(embed=False, metadata=kinds)
    expected[STEMS[1]] = ("anew", {"state": "sold"})
    assert rows(database_url, SHOWN) == sorted((stem, *about) for stem, about in expected.items())
    written = {uri for (_, uri), version in versions(database_url).items() if before.get(("image", uri)) != version}
    assert collection.source + second in written
    run(embed=False, metadata=None)
    assert [row[1:] for row in rows(database_url, SHOWN)] == [(None, {})] * 3


def test_headers_that_are_written_anew_without_new_bytes_are_read(run, bucket, database_url, asked):
    for key in KEYS:
        write(bucket, key, caption="first")
    run(metadata="headers")
    asked.clear()
    time.sleep(1.1)  # a copy has the same etag, and a later time, in whole seconds
    write(bucket, KEYS[0], caption="second", place="=?UTF-8?B?w6k=?=")
    report = run(embed=False, metadata="headers")
    assert (report["changed"], [key for _, key in asked]) == (0, [KEYS[0].rpartition("/")[2]])
    assert sorted(rows(database_url, SHOWN)) == sorted(
        (stem, "second" if stem == STEMS[0] else "first", {"place": "é"} if stem == STEMS[0] else {}) for stem in STEMS
    )


def test_a_refused_object_stays_as_it_was_and_many_stop_the_run(run, bucket, collection, database_url, monkeypatch):
    for key in KEYS:
        write(bucket, key)
        tag(bucket, key, state="right")
    run(metadata=["tags"])
    before = rows(database_url, SHOWN)
    uri = collection.source + KEYS[0]
    ask = ObjectStore.tags

    def refusing(self, asked):
        if asked == uri:
            raise AccessRefused(f"{asked} is refused")
        return ask(self, asked)

    monkeypatch.setattr(ObjectStore, "tags", refusing)
    report = run(embed=False, metadata=["tags"])
    assert (report["rejected"], report["gone"], report["shards"]) == (1, 0, 0)
    assert rows(database_url, REJECTED) == [(f"{uri}#tags", "access_denied")]
    assert rows(database_url, SHOWN) == before
    monkeypatch.setattr(object_metadata, "MOST_REFUSED", 0)
    with pytest.raises(UserError, match=r"s3:GetObjectTagging"):
        run(embed=False, metadata=["tags"])
