"""A listing that is killed goes on where it was, at its run's next try."""

import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from odd_s3 import etag_of, odd_store

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import changes, listing
from image_retrieval.store.connection import connect
from image_retrieval.store.vector_tables import ensure_vector_table
from integration.gates import command_at
from integration.tables import rows

KEYS = [f"in/{number:04}.jpg" for number in range(300)]
PARTS = "SELECT count(*)::int, coalesce(sum(listed), 0)::int FROM retrieval.listed_part"
IMAGES = "SELECT uri, deleted IS NULL FROM retrieval.image ORDER BY uri"


@pytest.fixture
def odd():
    with odd_store() as store:
        store.page = 10
        store.objects = dict.fromkeys(KEYS, b"1")
        yield store


@pytest.fixture
def compare(odd, project, change_collection, database_url, monkeypatch):
    """Compares the bucket with a table that knows all of it but the last objects, and some that are gone."""
    collection = change_collection(source="s3://bucket/in/", deletion_limit=1.0)
    monkeypatch.setattr(changes, "AT_ONCE", 5)
    with connect(project) as connection:
        ensure_vector_table(connection, collection, 3)
        for key in [*KEYS[:280], "in/0005x.jpg", "in/0299x.jpg"]:
            connection.execute(
                "WITH i AS (INSERT INTO retrieval.image (collection, image_id, uri)"
                " VALUES ('things', %s, %s) RETURNING id)"
                " INSERT INTO retrieval.vector_things_random SELECT id, %s, '[1,0,0]', 1 FROM i",
                (key, f"s3://bucket/{key}", etag_of(b"1")),
            )

    def compare(run_id="run", **options):
        changed = change_collection(**options) if options else collection
        with connect(project) as connection:
            return listing.compare(connection, changed, ObjectStore(odd.settings()), project, run_id=run_id, keep=True)

    return compare


def fail_behind(odd, monkeypatch, pages):
    """Let a part be saved after each page, and end the listing after some pages as if the process ended there."""
    monkeypatch.setattr("image_retrieval.pipeline.listing_parts.SECONDS", 0.0)
    real, left = changes._Found.compare, iter(range(pages))

    def compare(self, page, images):
        if next(left, None) is None:
            raise KeyboardInterrupt
        real(self, page, images)

    monkeypatch.setattr(changes._Found, "compare", compare)
    return lambda: monkeypatch.setattr(changes._Found, "compare", real)


def test_a_listing_goes_on_behind_what_was_saved(odd, compare, database_url, monkeypatch):
    go_on = fail_behind(odd, monkeypatch, 12)
    with pytest.raises(KeyboardInterrupt):
        compare()
    saved, listed = rows(database_url, PARTS)[0]
    assert saved == 12
    go_on()
    odd.asked.clear()
    plan = compare()
    assert (plan.listed, plan.new, plan.gone) == (300, 20, 2)
    asked = [parse_qs(urlsplit(path).query) for path in odd.asked if "list-type" in path]
    starts = [query.get("start-after", query.get("continuation-token", [""]))[0] for query in asked]
    assert starts
    assert min(starts) == KEYS[listed - 1]
    assert rows(database_url, PARTS) == [(0, 0)]
    assert [uri for uri, there in rows(database_url, IMAGES) if not there] == [
        "s3://bucket/in/0005x.jpg",
        "s3://bucket/in/0299x.jpg",
    ]


@pytest.mark.parametrize("change", ["another run", "another entry", "too old"])
def test_parts_that_do_not_count_are_listed_again(odd, compare, database_url, monkeypatch, change):
    go_on = fail_behind(odd, monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        compare()
    go_on()
    del odd.objects[KEYS[0]]
    if change == "too old":
        rows(database_url, "UPDATE retrieval.listed_part SET saved = saved - interval '7 hours' RETURNING number")
    options = {"deletion_limit": 0.3} if change == "another entry" else {}
    plan = compare("other" if change == "another run" else "run", **options)
    assert (plan.listed, plan.gone) == (299, 3)
    assert rows(database_url, PARTS) == [(0, 0)]


def test_an_image_that_was_written_since_its_part_is_not_gone(odd, compare, database_url, monkeypatch):
    go_on = fail_behind(odd, monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        compare()
    go_on()
    rows(database_url, "UPDATE retrieval.image SET updated = now() WHERE image_id = 'in/0005x.jpg' RETURNING id")
    assert compare().gone == 1


def test_an_image_that_was_deleted_since_its_part_is_not_restored(odd, compare, database_url, monkeypatch):
    odd.objects[KEYS[3]] = b"2"
    go_on = fail_behind(odd, monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        compare()
    go_on()
    query = "UPDATE retrieval.image SET deleted = now(), updated = now() WHERE image_id = %s RETURNING id"
    rows(database_url, query, KEYS[3])
    plan = compare()
    assert (plan.changed, plan.restored) == (0, 0)
    assert (f"s3://bucket/{KEYS[3]}", False) in rows(database_url, IMAGES)


def test_a_refused_plan_keeps_no_listing(odd, compare, database_url, monkeypatch):
    monkeypatch.setattr("image_retrieval.pipeline.listing_parts.SECONDS", 0.0)
    odd.objects = dict.fromkeys(KEYS[:100], b"1")
    with pytest.raises(UserError, match="deletion_limit"):
        compare(deletion_limit=0.2)
    assert rows(database_url, PARTS) == [(0, 0)]


def test_a_process_that_is_killed_in_its_listing_loses_what_was_under_way_alone(
    odd, compare, project, database_url, monkeypatch
):
    odd.objects = {f"in/{number:05}.jpg": b"1" for number in range(12_000)}
    odd.page = 1000
    waits = threading.Event()

    def hold(answer, number):
        if answer.keys and answer.keys[-1] > "in/09000.jpg":
            waits.wait(60)

    odd.spoil = hold
    for name in ("s3_endpoint_url", "s3_access_key_id", "s3_secret_access_key"):
        value = getattr(odd.settings(), name)
        text = value if isinstance(value, str) else value.get_secret_value()
        monkeypatch.setenv(f"IMAGE_RETRIEVAL_{name.upper()}", text)
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{project.home}/work/")
    with command_at(lambda: rows(database_url, PARTS)[0][0] > 0, "list", "things", "--run", "killed") as process:
        process.kill()
    waits.set()
    saved = rows(database_url, PARTS)[0][1]
    assert saved >= 5000
    odd.spoil = lambda answer, number: None
    odd.asked.clear()
    monkeypatch.setattr(changes, "AT_ONCE", 5000)
    plan = compare("killed")
    assert plan.listed == 12_000
    starts = [
        parse_qs(urlsplit(path).query).get("start-after", ["token"])[0] for path in odd.asked if "list-type" in path
    ]
    assert f"in/{saved - 1:05}.jpg" in starts
