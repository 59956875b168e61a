"""Hints of changed objects: runs look at these alone, and whatever befalls the events, the tables come out right."""

import asyncio
import json
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_in_queue import stand_in_queue

from image_retrieval.errors import UserError
from image_retrieval.objects.base import StoreUnavailable
from image_retrieval.pipeline import hints, watching
from image_retrieval.pipeline.hints import Received, receive
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.watching import Watch
from image_retrieval.store.connection import connect
from image_retrieval.store.hints import create_hinted, forget_hints, take_hints, write_hints
from integration.gates import GATES, a_gate, command_at
from integration.pictures import BAD, FIRST, SCENES, put
from integration.tables import contents, rows, versions

NUMBER = count()
KEYS = list(SCENES)[:6]
DATA = list(SCENES.values())
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delete", "run"]),
        st.sampled_from(KEYS),
        st.integers(0, 5),
        st.lists(st.sampled_from(KEYS), max_size=3),  # events that come now: doubled, late, of objects left alone
    ),
    max_size=8,
)


@pytest.fixture
def watched(change_collection, store, collection):
    put(store, collection.source, FIRST)
    return change_collection(watch={"images": 1000, "seconds": 0}, deletion_limit=1)


@pytest.fixture
def run(project):
    def run(collection, *, hinted=True, **options):
        return run_collection(collection, f"run {next(NUMBER)}", project, hinted=hinted, **options)

    return run


def waiting(url):
    return {uri for (uri,) in rows(url, "SELECT uri FROM retrieval.hint")}


def test_a_hinted_run_looks_at_the_hinted_objects_alone(watched, run, project, store, database_url):
    run(watched, hinted=False)
    new, other, gone = watched.source + "new.png", watched.source + "other.png", watched.source + KEYS[0]
    changed = watched.source + KEYS[1]
    put(store, watched.source, {"new.png": DATA[20], "other.png": DATA[21], KEYS[1]: DATA[22]})
    store.delete([gone])
    before = versions(database_url)
    ignored = ["s3://elsewhere/a.png", watched.source + "notes.txt", watched.source]
    assert receive([new, changed, gone, new, *ignored], project) == Received(3, 3)
    report = run(watched)
    assert (report["listed"], report["new"], report["changed"], report["gone"]) == (2, 1, 1, 1)
    assert waiting(database_url) == set()
    after = versions(database_url)
    assert {uri for kind, uri in after if after[kind, uri] != before.get((kind, uri))} == {new, changed, gone}
    listed = run(watched, hinted=False)
    assert (listed["new"], listed["changed"], listed["gone"]) == (1, 0, 0)  # the object that nobody hinted at
    assert other in {path for (path,) in rows(database_url, "SELECT image_path FROM images.things")}


def test_a_rejection_ends_with_its_version(watched, run, project, store, database_url):
    put(store, watched.source, {"a.png": BAD["bad/text.png"][0], "b.png": BAD["bad/text.png"][0]})
    run(watched, hinted=False)
    put(store, watched.source, {"a.png": DATA[20]})
    receive([watched.source + "a.png"], project)
    assert run(watched)["upserted"] == 1
    assert rows(database_url, "SELECT uri FROM retrieval.rejected") == [(watched.source + "b.png",)]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_doubled_lost_and_reordered_events_change_nothing(watched, run, project, store, database_url, events):
    for action, key, number, told in events:
        if action == "put":
            store.write(watched.source + key, DATA[number])
        elif action == "delete":
            store.delete([watched.source + key])
        else:
            run(watched)
        receive([watched.source + each for each in told], project)
    run(watched, hinted=False)
    found = contents(database_url)
    objects = {entry.uri: entry.etag for page in store.pages(watched.source) for entry in page}
    assert {row[0]: row[14] for row in found["images"] if row[13]} == objects
    assert {path for _, path, _ in found["view"]} == objects.keys()
    receive([*objects, *(watched.source + key for key in KEYS)], project)
    before = versions(database_url)
    run(watched)
    assert versions(database_url) == before


def test_hints_outlive_a_worker_that_is_killed(watched, run, project, database_url, store):
    run(watched, hinted=False)
    put(store, watched.source, {"new.png": DATA[20]})
    receive([watched.source + "new.png"], project)
    with (
        a_gate(database_url, GATES["list"]) as reached,
        command_at(reached, "run", "things", "--hinted", "--run", "broken") as process,
    ):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert waiting(database_url) == {watched.source + "new.png"}
    assert run(watched)["upserted"] == 1


def test_a_hint_that_comes_while_a_run_looks_stays(watched, run, project, database_url, store):
    run(watched, hinted=False)
    uri = watched.source + "new.png"
    put(store, watched.source, {"new.png": DATA[20]})
    receive([uri], project)
    with ExitStack() as stack:
        gate = ExitStack()
        reached = gate.enter_context(a_gate(database_url, GATES["list"]))
        slow = stack.enter_context(command_at(reached, "run", "things", "--hinted", "--run", "slow"))
        put(store, watched.source, {"new.png": DATA[21]})
        receive([uri], project)  # the run has looked at the object, and has yet to commit
        gate.close()
        assert slow.wait(300) == 0
    assert waiting(database_url) == {uri}
    run(watched)
    assert rows(database_url, "SELECT count(*) FROM images.things WHERE image_path = %s", uri) == [(1,)]
    assert run(watched, hinted=False)["changed"] == 0


def test_a_hinted_run_and_a_listing_at_once_lose_and_double_nothing(watched, run, project, store, database_url):
    put(store, watched.source, SCENES)
    receive([watched.source + key for key in SCENES], project)
    with (
        command_at(lambda: True, "run", "things", "--hinted", "--run", "hinted") as one,
        command_at(lambda: True, "run", "things", "--run", "listing") as other,
    ):
        assert (one.wait(300), other.wait(300)) == (0, 0)
    counts = "SELECT count(*), count(DISTINCT image_path) FROM images.things"
    assert rows(database_url, counts) == [(len(SCENES), len(SCENES))]
    assert run(watched, hinted=False)["new"] == 0
    assert waiting(database_url) == set()


def test_many_removals_are_left_to_the_listing(watched, run, project, store, database_url, change_collection):
    entry = change_collection(deletion_limit=0.2)
    run(entry, hinted=False)
    for key in KEYS:  # each hinted run alone would stay within the limit
        store.delete([entry.source + key])
        receive([entry.source + key], project)
        run(entry)
    [(gone,)] = rows(database_url, "SELECT count(*) FROM retrieval.image WHERE deleted IS NOT NULL")
    assert gone == 3  # 20 % of 12, rounded up
    with pytest.raises(UserError, match="deletion_limit"):
        run(change_collection(deletion_limit=0.1), hinted=False)


def test_a_message_is_deleted_only_when_its_hint_is_recorded(
    watched, project, database_url, change_collection, monkeypatch
):
    def body(key):
        record = {"s3": {"bucket": {"name": "images"}, "object": {"key": watched.source[len("s3://images/") :] + key}}}
        return json.dumps({"Records": [record]})

    with stand_in_queue() as queue:
        watch = Watch(change_collection(watch={"queue": queue.url, "seconds": 3600, "images": 13}), project)
        queue.send(*(body(f"{number}.png") for number in range(12)), "no event at all")
        with monkeypatch.context() as broken:
            broken.setattr(hints.hints, "write_hints", lambda *given: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                watch.look()
        assert waiting(database_url) == set()
        queue.time_out()
        assert watch.look() is None
        assert len(waiting(database_url)) == 12
        assert queue.waiting | queue.taken == {}
        queue.send(body("12.png"), body("0.png"))
        assert watch.look().images == 13
        assert watch.look() is None  # it asked for a run, which has yet to begin
        queue.refuses = "AccessDenied"
        with pytest.raises(StoreUnavailable, match="AccessDenied"):
            watch.look()


def test_a_poll_finds_what_came_since_the_last_run(
    watched, run, project, store, database_url, change_collection, monkeypatch
):
    monkeypatch.setattr(watching, "POLL_SECONDS", 0)
    monkeypatch.setattr(watching, "SHARE", 0)
    entry = change_collection(watch={"poll": True, "seconds": 0})
    watch = Watch(entry, project)
    assert watch.look() is None  # the first run lists everything
    put(store, entry.source, {"bad.png": BAD["bad/text.png"][0]})
    run(entry, hinted=False)
    assert watch.look() is None
    put(store, entry.source, {"new.png": DATA[20], KEYS[0]: DATA[21]})
    assert watch.look().images == 2
    assert watch.look() is None  # it asked for a run, which has yet to begin
    assert run(entry)["upserted"] == 2
    assert watch.look() is None


def test_a_poll_keeps_the_time_of_the_first_hint_and_leaves_a_runs_own_images(
    watched, run, project, store, database_url, change_collection, monkeypatch
):
    monkeypatch.setattr(watching, "POLL_SECONDS", 0)
    monkeypatch.setattr(watching, "SHARE", 0)
    entry = change_collection(watch={"poll": True, "seconds": 1})
    run(entry, hinted=False)
    put(store, entry.source, {"new.png": DATA[20]})
    watch = Watch(entry, project)
    looks = [watch.look() for _ in range(30) if not time.sleep(0.1)]
    assert [found.images for found in looks if found] == [1]
    rows(database_url, "DELETE FROM retrieval.hint RETURNING uri")
    list_images(entry, "under way", project)
    assert watch.look() is None
    assert waiting(database_url) == set()


def test_the_trigger_asks_for_a_run(watched, project, monkeypatch):
    pytest.importorskip("airflow")
    monkeypatch.syspath_prepend("include")
    from orchestration.hint_trigger import HintTrigger

    monkeypatch.setattr("orchestration.configuration.task_settings", lambda: project)
    path, arguments = HintTrigger("things").serialize()
    assert (path, arguments) == ("orchestration.hint_trigger.HintTrigger", {"collection": "things"})
    receive([watched.source + KEYS[0]], project)

    async def first():
        events = HintTrigger(**arguments).run()
        event = await asyncio.wait_for(anext(events), 30)
        await events.aclose()
        return event.payload

    assert asyncio.run(first()) == {"images": 1}


def test_a_collection_without_watch_has_no_hinted_runs(project, collection):
    with pytest.raises(UserError, match="takes no hints"):
        list_images(collection, "hinted", project, hinted=True)


def test_writers_of_the_same_hints_do_not_wait_for_each_other_in_a_circle(watched, project, database_url):
    uris = [(watched.name, f"{watched.source}{number}.png") for number in range(3000)]

    def write(number):
        with connect(project) as connection:
            write_hints(connection, random.Random(number).sample(uris, len(uris)))

    def forget(number):
        with connect(project) as connection:
            create_hinted(connection)
            take_hints(connection, watched.name, 2000)
            forget_hints(connection, watched.name)

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(forget if number % 3 == 0 else write, number) for number in range(24)]:
            done.result()
    write(24)
    assert len(waiting(database_url)) == 3000
