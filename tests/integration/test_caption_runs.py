"""Runs caption what they have embedded, however often their tasks are killed or repeated, and vectors never wait."""

import json
import signal
from contextlib import nullcontext

import psycopg
import pytest
from odd_captions import odd_captions, said

from image_retrieval.errors import UserError
from image_retrieval.pipeline import caption_runs
from image_retrieval.pipeline.captioning import caption_collection
from image_retrieval.pipeline.finishing import finish_run
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.running import run_collection, run_shards
from image_retrieval.shards import Shard, captions_run
from image_retrieval.store import captions
from image_retrieval.store.connection import connect
from integration.captioned import MISSING, STORED, save_ending_captioner
from integration.gates import a_gate, command_at
from integration.pictures import BAD, FIRST, SCENES, put
from integration.tables import rows, versions

VIEW = "SELECT count(*), count(captions) FROM images.things"


@pytest.fixture(scope="session")
def captioner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    save_ending_captioner(folder)
    return folder


@pytest.fixture
def entry(store, collection, change_collection, captioner):
    """The collection with 12 pictures and 3 broken ones, in shards of 8, and a captioner."""
    put(store, collection.source, FIRST | {key: bad for key, (bad, _) in BAD.items()})
    model = {"name": "writer", "source": str(captioner), "batch_size": 4}
    options = {"model": model, "languages": ["en", "zh"], "max_new_tokens": 12}
    return change_collection(captions=options, shard_size=8)


@pytest.fixture
def expected(entry, project, database_url):
    """The captions of the collection, and the reasons for those that are missing, as the command makes them."""

    def of_command():
        with psycopg.connect(database_url) as connection:
            connection.execute("TRUNCATE retrieval.caption, retrieval.uncaptioned, retrieval.shown_captions")
        caption_collection(entry, project)
        return rows(database_url, STORED), rows(database_url, MISSING)

    return of_command


def test_a_run_captions_new_and_changed_images_and_tells_how_many(
    entry, project, store, database_url, expected, monkeypatch
):
    found = run_collection(entry, "first", project)
    stored = rows(database_url, STORED), rows(database_url, MISSING)
    assert (found["state"], found["captions"], found["captions_due"]) == ("success", len(stored[0]), 0)
    assert rows(database_url, VIEW) == [(12, len({image for image, *_ in stored[0]}))]
    new, changed = list(SCENES)[20], next(iter(FIRST))
    put(store, entry.source, {new: SCENES[new], changed: SCENES[list(SCENES)[21]]})
    written = []
    write = captions.write_captions
    monkeypatch.setattr(captions, "write_captions", lambda *given: written.append(given) or write(*given))
    found = run_collection(entry, "second", project)
    [(_, _, made, faults, _)] = written
    assert len({each.image for each in made + faults}) == 2
    assert (found["captions"], found["captions_due"]) == (len(made), 0)
    after = rows(database_url, STORED), rows(database_url, MISSING)
    assert len(written) == 1
    assert after == expected()


def test_vectors_do_not_wait_for_a_captioner_that_fails(entry, project, database_url, change_collection, command):
    change_collection(captions={"model": {"name": "writer", "source": "nowhere"}})
    done = command("run", "things", "--run", "first")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert (found["state"], found["captions"], found["embedded"]) == ("success", None, 12)
    assert "model 'nowhere' does not exist" in found["captions_failed"]
    assert rows(database_url, VIEW) == [(12, 0)]
    later = change_collection(captions=entry.captions.model_dump(mode="json") | {"when": "command"})
    assert caption_runs.plan_captions(later, "first", project) == 0


@pytest.mark.slow
def test_an_endpoint_that_stalls_costs_few_requests_and_no_vector(project, database_url, entry, change_collection):
    with odd_captions() as server:
        where = {"name": "far", "url": server.url, "model": "m", "side": 32, "concurrency": 1, "tries": 1}
        where |= {"seconds": 0.2, "budget_images": 5}
        far = change_collection(captions={"endpoint": where})
        server.reply = lambda grey, times: said("")
        found = run_collection(far, "first", project)
        assert (found["captions"], found["captions_due"], len(server.asked)) == (0, 7, 5)
        assert {row[2] for row in rows(database_url, MISSING)} == {"empty"}
        server.reply = lambda grey, times: (503, b"{}")
        found = run_collection(far, "second", project)
    assert "does not answer" in found["captions_failed"]
    assert (found["state"], len(server.asked)) == ("success", 5 + 5)
    assert rows(database_url, VIEW) == [(12, 0)]


def prepared(entry, project):
    """A run whose vectors are loaded."""
    list_images(entry, "run", project)
    run_shards(entry, "run", project)


@pytest.mark.slow
def test_each_step_may_be_repeated_at_any_time(entry, project, database_url, expected):
    prepared(entry, project)
    for _ in range(2):
        assert caption_runs.plan_captions(entry, "run", project) == 2
        caption_runs.caption_run(entry, "run", project)
        for shard in (1, 0):
            caption_runs.resample_for_captions(entry, "run", shard, project)
            caption_runs.write_shard_captions(entry, "run", shard, project)
    found = [finish_run(entry, "run", project) for _ in range(2)]
    stored = rows(database_url, STORED), rows(database_url, MISSING)
    assert [(each["captions"], each["captions_due"]) for each in found] == [(len(stored[0]), 0)] * 2
    assert stored[0] == expected()[0]
    assert len(stored[0]) + len(stored[1]) == 24


@pytest.mark.slow
def test_a_run_takes_no_more_than_its_shards_and_leaves_what_another_process_captions(
    entry, project, database_url, change_collection
):
    prepared(entry, project)
    fewer = change_collection(max_shards=1)
    with connect(project) as connection:
        assert captions.try_lock(connection, "things")
        assert caption_runs.plan_captions(fewer, "run", project) == 0
    assert caption_runs.plan_captions(fewer, "run", project, shard_size=7) == 1
    caption_runs.caption_run(fewer, "run", project)
    assert finish_run(fewer, "run", project)["captions_due"] == 5


@pytest.mark.slow
def test_captions_of_other_files_than_planned_are_not_stored(entry, project, database_url, change_collection):
    prepared(entry, project)
    caption_runs.plan_captions(entry, "run", project)
    other = entry.captions.model_dump(mode="json") | {"max_new_tokens": 11}
    with pytest.raises(UserError, match="files of captioner 'writer' have changed meanwhile"):
        caption_runs.caption_run(change_collection(captions=other), "run", project)
    assert rows(database_url, STORED) == []


def vectors(url):
    """What was written of vectors and rejections, and by which transaction."""
    return {of: version for of, version in versions(url).items() if of[0] != "image"}


KILLED = {"resample": "plan.json", "caption": "resampled/", "write": None}


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=() if stage == "write" else pytest.mark.slow) for stage in KILLED]
)
def test_a_run_that_is_killed_while_it_captions_comes_to_the_same_end(
    stage, entry, project, database_url, store, expected
):
    folder = Shard("things", captions_run("run"), 0).files(project.work_uri).manifest.partition("shards/")[0]

    def there():
        pages = store.pages(folder, missing_ok=True)
        return any(entry.uri.startswith(f"{folder}{KILLED[stage]}") for page in pages for entry in page)

    gate = nullcontext(there) if KILLED[stage] else a_gate(database_url, "INSERT ON retrieval.caption")
    with gate as is_reached, command_at(is_reached, "run", "things", "--run", "run") as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    before = vectors(database_url)
    assert rows(database_url, VIEW)[0][0] == 12
    found = run_collection(entry, "run", project)
    stored = rows(database_url, STORED), rows(database_url, MISSING)
    assert (found["state"], found["captions"], found["captions_due"]) == ("success", len(stored[0]), 0)
    assert vectors(database_url) == before
    assert stored == expected()
