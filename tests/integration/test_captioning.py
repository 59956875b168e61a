"""Captions of models are brought in step with the images, and never replace what a person wrote."""

import signal
from collections import Counter
from contextlib import nullcontext

import psycopg
import pytest
from odd_captions import odd_captions, said

from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.models.shipped import CAPTIONER
from image_retrieval.pipeline import captioning
from image_retrieval.pipeline.captioning import caption_collection
from image_retrieval.pipeline.running import run_collection
from image_retrieval.scenes import draw_scenes
from image_retrieval.store import captions
from image_retrieval.store.connection import connect
from integration.captioned import MISSING, STORED, save_ending_captioner
from integration.gates import a_gate, command_at
from integration.pictures import BAD, FIRST, SCENES, put
from integration.tables import rows, versions


@pytest.fixture(scope="session")
def captioner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    save_ending_captioner(folder)
    return folder


@pytest.fixture
def filled(store, collection, change_collection, captioner, project):
    put(store, collection.source, FIRST | {key: bad for key, (bad, _) in BAD.items()})
    model = {"name": "writer", "source": str(captioner), "batch_size": 5}
    options = {"model": model, "languages": ["en", "zh"], "max_new_tokens": 12, "when": "command"}
    changed = change_collection(captions=options)
    run_collection(changed, "first", project)
    return changed


def parts(store, project, stage):
    pages = store.pages(f"{project.work_uri}work/", missing_ok=True)
    return [entry for page in pages for entry in page if "captions-" in entry.uri and f"/{stage}/" in entry.uri]


def test_every_image_has_captions_or_reasons_and_the_view_shows_them(filled, project, database_url, store):
    found = caption_collection(filled, project)
    stored, missing = rows(database_url, STORED), rows(database_url, MISSING)
    assert (found["due"], found["left"], found["shown"]) == (12, 0, "writer")
    assert found["captions"] == len(stored) > 12
    assert found["missing"] == Counter(reason for _, _, reason, *_ in missing)
    assert set(found["missing"]) <= {"no_end", "empty"}
    assert len(stored) + len(missing) == 24
    assert all(text.strip() and etag for *_, etag, _, text in stored)
    assert {(attempts, final) for *_, attempts, final in missing} <= {(1, True)}
    by_image = {}
    for image, language, *_, text in stored:
        by_image.setdefault(image, {})[language] = text
    view = rows(database_url, "SELECT image_id, caption, captions FROM images.things")
    assert {image: captions for image, _, captions in view} == {image: by_image.get(image) for image, *_ in view}
    assert {image: caption for image, caption, _ in view} == {
        image: by_image.get(image, {}).get("en") for image, *_ in view
    }
    assert not parts(store, project, "shards")
    words = rows(database_url, "SELECT DISTINCT unnest(tsvector_to_array(words)) FROM retrieval.image")
    assert {*words, ("",)} == set(rows(database_url, "SELECT word FROM retrieval.caption_word"))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.image SET caption = 'by hand'")
    search = "SELECT DISTINCT caption FROM images.similar_to('things', (SELECT min(image_id) FROM images.things))"
    assert rows(database_url, search) == [("by hand",)]


def test_only_new_and_changed_images_are_captioned(filled, project, database_url, store, change_collection, captioner):
    with connect(project) as connection:
        assert captions.try_lock(connection, "things")
        with pytest.raises(UserError, match="is being captioned by another process"):
            caption_collection(filled, project)
    caption_collection(filled, project)
    vectors = versions(database_url)
    written = rows(database_url, "SELECT image, language, xmin::text FROM retrieval.caption ORDER BY 1, 2")
    again = caption_collection(filled, project)
    assert (again["due"], again["captions"], again["left"]) == (0, 0, 0)
    assert rows(database_url, "SELECT image, language, xmin::text FROM retrieval.caption ORDER BY 1, 2") == written
    assert versions(database_url) == vectors
    new, changed = list(SCENES)[20], next(iter(FIRST))
    put(store, filled.source, {new: SCENES[new], changed: SCENES[list(SCENES)[21]]})
    run_collection(filled, "second", project)
    outdated = "SELECT caption, captions FROM images.things WHERE image_path LIKE %s"
    assert rows(database_url, outdated, f"%{changed}") == [(None, None)]
    assert caption_collection(filled, project)["due"] == 2


@pytest.mark.slow
def test_an_original_that_is_gone_is_tried_again_with_an_end(filled, project, database_url, store):
    store.delete([filled.source + key for key in FIRST])
    store.delete_under(f"{project.work_uri}resampled/")
    for _ in range(project.max_attempts):
        caption_collection(filled, project)
    assert {row[2:] for row in rows(database_url, MISSING)} == {("not_found", project.max_attempts, True)}
    assert caption_collection(filled, project)["due"] == 0
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(12,)]


def test_an_endpoint_captions_within_its_budget_and_what_is_nonsense_has_an_end(
    filled, project, database_url, change_collection
):
    with odd_captions() as server:
        where = {"name": "far", "url": server.url, "model": "m", "side": 32, "concurrency": 2, "budget_images": 5}
        changed = change_collection(captions={"endpoint": where, "languages": ["en", "zh"]})
        found = caption_collection(changed, project)
        assert (found["due"], found["captions"], found["left"], len(server.asked)) == (12, 10, 7, 5)
        server.reply = lambda grey, times: said("no form")
        more = change_collection(captions={"endpoint": where | {"budget_images": 50}, "languages": ["en", "zh"]})
        for left in (7, 7, 0):
            found = caption_collection(more, project)
            assert (found["captions"], found["missing"], found["left"]) == (0, {"nonsense": 14}, left)
    assert {row[2:] for row in rows(database_url, MISSING)} == {("nonsense", project.max_attempts, True)}
    assert rows(database_url, "SELECT count(*) FROM images.things WHERE caption LIKE 'grey %%'") == [(5,)]


def test_another_captioner_is_shown_once_it_has_captioned_all(
    filled, project, database_url, change_collection, captioner, monkeypatch
):
    monkeypatch.setattr("image_retrieval.pipeline.captioning.PART", 5)
    caption_collection(filled, project)
    shown = rows(database_url, "SELECT caption FROM images.things ORDER BY image_id")
    other = change_collection(
        captions={"model": {"name": "other", "source": str(captioner)}, "languages": ["zh"], "max_new_tokens": 12}
    )
    write, calls = captions.write_captions, iter(range(10))

    def breaks(*given):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return write(*given)

    with monkeypatch.context() as patched:
        patched.setattr(captions, "write_captions", breaks)
        with pytest.raises(KeyboardInterrupt):
            caption_collection(other, project)
    assert rows(database_url, "SELECT count(*) > 0 FROM retrieval.caption WHERE model = 'other'") == [(True,)]
    assert rows(database_url, "SELECT caption FROM images.things ORDER BY image_id") == shown
    assert caption_collection(other, project)["shown"] == "other"
    assert rows(database_url, "SELECT model, languages FROM retrieval.shown_captions") == [("other", ["zh"])]
    longer = change_collection(
        captions={"model": {"name": "other", "source": str(captioner)}, "languages": ["zh"], "max_new_tokens": 14}
    )
    assert caption_collection(longer, project)["due"] == 12


def test_a_run_leaves_the_work_of_captioning_alone_and_captioning_clears_up(filled, project, store, database_url):
    work = f"{project.work_uri}work/things/captions-%s/shards/0.parquet"
    store.write(work % "broken", b"of images that have changed")
    caption = captioning.captions.write_captions

    def during_a_run(*given):
        run_collection(filled, "meanwhile", project)
        assert len(parts(store, project, "shards")) == 2
        return caption(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(captioning.captions, "write_captions", during_a_run)
        assert caption_collection(filled, project)["left"] == 0
    assert parts(store, project, "shards") == []
    assert rows(database_url, "SELECT state FROM retrieval.run WHERE run_id = 'meanwhile'") == [("success",)]


KILLED = {"resample": None, "caption": None, "write": "INSERT ON retrieval.caption"}


@pytest.mark.parametrize(
    "stage", [pytest.param(stage, marks=() if stage == "write" else pytest.mark.slow) for stage in KILLED]
)
def test_a_killed_command_ends_in_the_same_state(stage, filled, project, database_url, store):
    caption_collection(filled, project)
    expected = rows(database_url, STORED), rows(database_url, MISSING)
    with psycopg.connect(database_url) as connection:
        connection.execute("TRUNCATE retrieval.caption, retrieval.uncaptioned, retrieval.shown_captions")

    there = {"resample": "shards", "caption": "resampled"}
    gate = (
        a_gate(database_url, KILLED[stage])
        if KILLED[stage]
        else nullcontext(lambda: bool(parts(store, project, there[stage])))
    )
    with gate as is_reached, command_at(is_reached, "caption", "things") as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert parts(store, project, "shards")
    caption_collection(filled, project)
    assert (rows(database_url, STORED), rows(database_url, MISSING)) == expected
    assert not parts(store, project, "shards")


def test_a_mistake_is_told_in_a_line(collection, project, change_collection, captioner, random_model, capsys):
    assert main(["caption", "things"]) == 2
    assert "names no captioner" in capsys.readouterr().err
    for source, told in ((random_model, "writes no captions"), (captioner.parent / "none", "does not exist")):
        change_collection(captions={"model": {"name": "writer", "source": str(source)}})
        assert main(["caption", "things"]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert error.count("\n") == 1
    change_collection(captions={"model": {"name": "writer", "source": str(captioner)}, "languages": ["en", "fr"]})
    assert main(["caption", "things"]) == 2
    assert "does not write in 'fr': its languages are en, zh" in capsys.readouterr().err


def test_the_shipped_captioner_tells_scenes_in_both_languages(store, change_collection, project, database_url):
    scenes = {scene.key: scene for scene in draw_scenes(6, 11)}
    model = {"name": "scenes", "source": str(CAPTIONER)}
    entry = change_collection(captions={"model": model, "languages": ["en", "zh"]})
    put(store, entry.source, {key: scene.data for key, scene in scenes.items()})
    found = run_collection(entry, "first", project)
    assert (found["captions"], found["captions_due"]) == (2 * len(scenes), 0)
    query = "SELECT image_path FROM images.search_words('things', %s, 100) ORDER BY 1"
    red = sorted(entry.source + key for key in scenes if key.startswith("red-"))
    for words in ("red", "红色", "紅色"):
        assert set(red) <= {path for (path,) in rows(database_url, query, words)}, words
