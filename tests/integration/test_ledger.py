"""The ledger ends: what is transient is tried so often and then left, what changes or is queued is tried again."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.running import embed, run_collection
from image_retrieval.pipeline.upserting import upsert_shard
from image_retrieval.store.connection import connect
from image_retrieval.store.loading import RejectedImage, write_rejections
from integration.pictures import BAD, SCENES, put
from integration.tables import rows

KEY, OTHER = list(SCENES)[:2]
LEDGER = "SELECT reason, attempts, final FROM retrieval.rejected ORDER BY uri"


@pytest.fixture
def run(project, collection):
    number = iter(range(100))

    def run(run_id=None, **options):
        return run_collection(collection, run_id or f"run {next(number)}", project, **options)

    return run


@pytest.fixture
def run_without(run, store, collection):
    """A run during which an object is away between listing and reading, and back afterwards as it was."""

    def run_without(key, **options):
        uri = collection.source + key
        data = store.read(uri)
        found = run(planned=lambda plan: store.delete([uri]), **options)
        store.write(uri, data)
        return found

    return run_without


@pytest.fixture
def one(store, collection):
    put(store, collection.source, {KEY: SCENES[KEY]})


@pytest.fixture
def refused_for_good(one, run_without):
    for _ in range(3):
        run_without(KEY)


def test_a_transient_reason_is_final_after_so_many_runs(one, run, run_without, database_url):
    for attempt, final in [(1, False), (2, False), (3, True)]:
        assert run_without(KEY)["rejected"] == 1
        assert rows(database_url, LEDGER) == [("not_found", attempt, final)]
    assert run()["shards"] == 0
    assert rows(database_url, LEDGER) == [("not_found", 3, True)]


def test_a_run_that_is_planned_anew_under_its_name_counts_again(one, run_without, database_url):
    for attempt, final in [(1, False), (2, False), (3, True)]:
        run_without(KEY, run_id="daily")
        assert rows(database_url, LEDGER) == [("not_found", attempt, final)]


def test_a_shard_that_is_upserted_again_does_not_count(one, project, collection, store, database_url):
    list_images(collection, "run", project)
    store.delete([collection.source + KEY])
    resample_shard(collection, "run", 0, project)
    embed(collection, "run", 0, project, "cpu", lambda done: None)
    for _ in range(3):
        upsert_shard(collection, "run", 0, project)
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]


def test_two_who_upsert_a_shard_at_once_count_once(one, project, collection, store, database_url):
    list_images(collection, "run", project)
    store.delete([collection.source + KEY])
    resample_shard(collection, "run", 0, project)
    embed(collection, "run", 0, project, "cpu", lambda done: None)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: upsert_shard(collection, "run", 0, project), range(4)))
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]


def test_a_final_one_is_tried_again_once_it_changes(refused_for_good, run_without, store, collection, database_url):
    put(store, collection.source, {KEY: SCENES[OTHER]})
    run_without(KEY)
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]


def test_a_changed_one_that_succeeds_leaves_the_ledger(refused_for_good, run, store, collection, database_url):
    put(store, collection.source, {KEY: SCENES[OTHER]})
    assert run()["upserted"] == 1
    assert rows(database_url, LEDGER) == []


def test_one_that_succeeds_later_leaves_the_ledger(one, run, run_without, database_url):
    run_without(KEY)
    assert run()["upserted"] == 1
    assert rows(database_url, LEDGER) == []


def test_one_that_is_gone_leaves_the_ledger(refused_for_good, run, store, collection, database_url):
    put(store, collection.source, {key: SCENES[key] for key in list(SCENES)[1:8]})
    store.delete([collection.source + KEY])
    run()
    assert rows(database_url, LEDGER) == []


def test_one_that_comes_back_is_tried_like_a_new_one(
    refused_for_good, run, run_without, store, collection, database_url
):
    put(store, collection.source, {key: SCENES[key] for key in list(SCENES)[1:8]})
    store.delete([collection.source + KEY])
    run()
    put(store, collection.source, {KEY: SCENES[KEY]})
    run_without(KEY)
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]


def test_one_that_changes_under_the_readers_hands_is_tried_in_its_new_version(
    one, run, store, collection, database_url
):
    run(planned=lambda plan: put(store, collection.source, {KEY: SCENES[OTHER]}))
    assert rows(database_url, LEDGER) == [("changed_while_reading", 1, False)]
    assert run()["upserted"] == 1
    assert rows(database_url, LEDGER) == []


def test_a_searchable_one_that_a_full_rescan_cannot_read_comes_to_an_end(one, run, run_without, database_url):
    run()
    run_without(KEY, full=True)
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]
    run_without(KEY)
    run_without(KEY)
    assert rows(database_url, LEDGER) == [("not_found", 3, True)]
    assert run()["shards"] == 0
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(1,)]


def test_a_searchable_one_that_a_full_rescan_could_not_read_leaves_the_ledger(one, run, run_without, database_url):
    run()
    run_without(KEY, full=True)
    again = run()
    assert (again["changed"], again["embedded"], again["upserted"]) == (1, 1, 0)
    assert rows(database_url, LEDGER) == []


def test_a_reason_that_is_none_is_not_recorded(project, collection, database_url):
    row = RejectedImage("s3://a", "e", "resample", None, "bad_mood", "")
    with pytest.raises(ValueError, match="bad_mood"), connect(project) as connection:
        write_rejections(connection, collection, "run", [row], 3)
    assert rows(database_url, LEDGER) == []


@pytest.mark.parametrize("searchable", [False, True])
def test_a_queued_one_is_tried_afresh(searchable, one, run, run_without, command, collection, database_url):
    if searchable:
        run()
    for number in range(3):
        run_without(KEY, full=searchable and number == 0)
    uri = collection.source + KEY
    done = command("rejected", "things", "--requeue", "--uri", uri)
    assert (done.returncode, done.stdout) == (0, "rejected images that the next run will try again: 1\n"), done.stderr
    assert "queued" in command("rejected", "things").stdout
    run_without(KEY)
    assert rows(database_url, LEDGER) == [("not_found", 1, False)]
    run()
    assert rows(database_url, LEDGER) == []
    assert rows(database_url, "SELECT image_path FROM images.things") == [(uri,)]


@pytest.fixture
def ledger(store, collection, run, run_without):
    """Three objects that are final and one that is not."""
    put(store, collection.source, {KEY: SCENES[KEY]} | {key: bad for key, (bad, _) in BAD.items()})
    run_without(KEY)
    return {collection.source + key: reason for key, (_, reason) in BAD.items()} | {
        collection.source + KEY: "not_found"
    }


def listed(report, *options):
    return {row["uri"]: row["reason"] for row in report("rejected", "things", "--json", *options)["rejected"]}


def test_the_list_can_be_narrowed(ledger, report):
    assert listed(report) == ledger
    assert listed(report, "--final") == {uri: reason for uri, reason in ledger.items() if reason != "not_found"}
    assert set(listed(report, "--no-final").values()) == {"not_found"}
    assert set(listed(report, "--reason", "truncated").values()) == {"truncated"}
    assert set(listed(report, "--uri", min(ledger))) == {min(ledger)}
    assert list(listed(report, "--limit", "2")) == sorted(ledger)[:2]
    assert listed(report, "--reason", "truncated", "--no-final") == {}


def test_reasons_are_counted(ledger, report, command):
    found = report("rejected", "things", "--by-reason", "--json")["by_reason"]
    counts = {row["reason"]: (row["final"], row["not_final"]) for row in found}
    assert counts == {reason: (int(reason != "not_found"), int(reason == "not_found")) for reason in ledger.values()}
    lines = command("rejected", "things", "--by-reason", "--final").stdout.splitlines()
    assert [line.split() for line in lines[1:]] == [
        [reason, "1", "0"] for reason in sorted(set(ledger.values()) - {"not_found"})
    ]


def test_only_what_was_asked_for_is_queued(ledger, report, run, database_url):
    assert report("rejected", "things", "--requeue", "--reason", "truncated", "--json") == {"requeued": 1}
    again = run()
    assert (again["new"], again["rejected"]) == (2, 1)
    assert rows(database_url, "SELECT DISTINCT reason, attempts, final FROM retrieval.rejected ORDER BY 1") == [
        ("empty_file", 1, True),
        ("truncated", 1, True),
        ("unsupported_format", 1, True),
    ]


def test_nothing_to_queue_is_no_mistake_but_an_unknown_uri_is(ledger, report, command):
    assert report("rejected", "things", "--requeue", "--reason", "timeout", "--json") == {"requeued": 0}
    done = command("rejected", "things", "--requeue", "--uri", "s3://images/none.jpg")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "image-retrieval: no rejected image of collection 'things' has URI 's3://images/none.jpg'"
    )
    assert done.stderr.count("\n") == 1


def test_a_run_can_try_everything_again_that_was_rejected(ledger, run, project, collection, database_url):
    plan = list_images(collection, "dry", project, requeue=True, dry_run=True)
    assert plan.new == 4
    assert rows(database_url, "SELECT count(*) FROM retrieval.rejected WHERE final") == [(3,)]
    again = run(requeue=True)
    assert (again["new"], again["upserted"], again["rejected"]) == (4, 1, 3)


def test_the_ledger_is_told_in_sql(ledger, collection, database_url):
    found = rows(database_url, "SELECT image_path, reason, stage, attempts, final FROM images.rejected('things')")
    assert found
    assert {(path, reason) for path, reason, *_ in found} == set(ledger.items())
    assert {tuple(rest) for _, reason, *rest in found if reason == "not_found"} == {("resample", 1, False)}
    query = "SELECT image_id FROM images.rejected('things') WHERE image_path = %s"
    assert rows(database_url, query, collection.source + "bad/cut.jpg") == [("bad/cut",)]
    with pytest.raises(psycopg.errors.RaiseException, match="unknown collection 'nothing'"):
        rows(database_url, "SELECT * FROM images.rejected('nothing')")
