"""Scores of a model that brings no calibration are fitted on the collection, kept, and fitted again as it changes."""

import shutil

import psycopg
import pytest
from structlog.testing import capture_logs

from image_retrieval.client import Client
from image_retrieval.models.calibration import DIRECTIONS, FILE
from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.models.phrases import phrases_version
from image_retrieval.models.shipped import DUAL
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.shown import find_shown
from image_retrieval.scenes import draw_scenes
from image_retrieval.store.connection import connect
from integration.pictures import put
from integration.random_vectors import fill
from integration.tables import rows

FITS = "SELECT direction, vectors, sampled, probes, reason FROM retrieval.calibration ORDER BY direction"
NOTHING = "subject to change without notice"
IMAGES = 40


@pytest.fixture(scope="module")
def scenes():
    return {scene.key: scene.data for scene in draw_scenes(IMAGES)}


@pytest.fixture
def dual(tmp_path, change_collection):
    """The collection under the dual encoder that ships, without its calibration."""
    folder = shutil.copytree(DUAL, tmp_path / "dual", ignore=shutil.ignore_patterns(FILE))
    return change_collection(model={"name": "dual", "source": str(folder), "batch_size": 16})


def calibrate_by_hand(url, value):
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE retrieval.model SET calibration = %s", [value])


def test_a_run_fits_every_direction_and_searches_use_it(dual, scenes, project, store, database_url, report):
    put(store, dual.source, scenes)
    assert run_collection(dual, "first", project)["state"] == "success"
    assert rows(database_url, FITS) == [
        ("image_image", IMAGES, IMAGES, IMAGES, None),
        *((f"text_image_{language}", IMAGES, IMAGES, 100, None) for language in ("en", "zh")),
    ]
    [listed] = report("models", "list", "--json")["models"]
    assert (listed["scores"], bool(listed["fitted_at"])) == ("fitted", True)

    with Client(project) as client:
        [info] = client.collections()
        assert [(each.direction, each.origin, each.sampled) for each in info.scores] == [
            (direction, "fitted", IMAGES) for direction in DIRECTIONS
        ]
        assert str(info.scores[0].fitted_at)[:16] == listed["fitted_at"].replace("T", " ")[:16]
        for text, direction in ((NOTHING, "text_image_en"), ("须遵守相关条款", "text_image_zh")):
            assert client.search("things", text).calibration == direction
            assert len(client.search("things", text, min_score=0.5)) == 0
        first = next(iter(client.search("things", "a star", k=1))).image_id
        found = client.search("things", image_id=first)
        assert (found.calibration, found[0].image_id, found[0].score) == ("image_image", first, 1)
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)

    calibrate_by_hand(database_url, '{"image_image": {"slope": 9, "middle": 0.25}}')  # the model's own comes first
    with connect(project) as connection:
        shown = find_shown(connection, project, "things")
    assert [origin.origin for origin in shown.scores] == ["own", "fitted", "fitted"]
    assert shown.calibration("image_image").middle == 0.25


def test_they_are_fitted_again_when_the_collection_has_changed_much(dual, scenes, project, store, database_url, report):
    put(store, dual.source, scenes)
    run_collection(dual, "first", project)
    fitted = "SELECT min(fitted_at), max(vectors) FROM retrieval.calibration"
    before = rows(database_url, fitted)
    assert keep_calibrated(dual, project) == {}

    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.calibration SET vectors = 27 WHERE direction = 'image_image'")
        connection.execute("UPDATE retrieval.calibration SET phrases = 0 WHERE direction = 'text_image_zh'")
    assert {*keep_calibrated(dual, project)} == {"text_image_zh"}  # grown, but not by half; another list of phrases
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE retrieval.calibration SET vectors = 26 WHERE direction = 'image_image'")
        connection.execute("UPDATE retrieval.calibration SET vectors = 81 WHERE direction = 'text_image_en'")
    told = report("upkeep", "things")["scores"]
    assert {*told} == {"image_image", "text_image_en"}
    assert all(text.startswith("cutoff at cosine 0.") for text in told.values())
    assert rows(database_url, fitted) > before
    assert rows(database_url, "SELECT DISTINCT phrases FROM retrieval.calibration WHERE phrases IS NOT NULL") == [
        (phrases_version(),)
    ]
    calibrate_by_hand(database_url, (DUAL / FILE).read_text())
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM retrieval.calibration")
    assert keep_calibrated(dual, project) == {}  # it brings all of them


@pytest.mark.parametrize("images", [1, 2, 10])
def test_a_small_collection_has_none_and_one_line_says_so(images, project, collection, database_url):
    fill(project, collection, images)
    with capture_logs() as logs:
        assert keep_calibrated(collection, project) == {}
    assert [(line["log_level"], line["images"], line["needed"]) for line in logs] == [("info", images, LEAST_VECTORS)]
    assert rows(database_url, FITS) == []


def test_pictures_that_are_all_alike_have_none_and_it_is_known_why(project, collection, database_url):
    fill(project, collection, 40)
    with psycopg.connect(database_url) as connection:
        connection.execute(f"UPDATE retrieval.vector_things_random SET embedding = '{[1.0] * 16}'")
    assert "all pictures are alike" in keep_calibrated(collection, project)["image_image"]
    [(*_, reason)] = rows(database_url, FITS)
    assert "all pictures are alike" in reason
    assert keep_calibrated(collection, project) == {}  # not tried again until it changes
    with connect(project) as connection:
        shown = find_shown(connection, project, "things")
    assert (shown.calibration("image_image"), shown.scores) == (None, ())


def test_a_calibration_that_fails_does_not_fail_the_run(dual, scenes, project, store, database_url):
    for vocabulary in ("tokenizer.json", "vocab.txt"):
        (project.home / "dual" / vocabulary).unlink()
    put(store, dual.source, scenes)
    with capture_logs() as logs:
        assert run_collection(dual, "first", project)["state"] == "success"
    told = [line for line in logs if line["event"] == "the scores were not fitted"]
    assert [line["direction"] for line in told] == ["text_image_en", "text_image_zh"]
    assert all(line["log_level"] == "warning" and "\n" not in line["reason"] for line in told)
    assert [direction for direction, *_ in rows(database_url, FITS)] == ["image_image"]


def test_without_kept_pictures_chance_alone_decides_until_the_vectors_go(project, collection, database_url):
    fill(project, collection, IMAGES)
    assert "cutoff" in keep_calibrated(collection, project)["image_image"]
    assert rows(database_url, FITS) == [("image_image", IMAGES, IMAGES, 0, None)]
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP VIEW images.things")
        connection.execute("SELECT retrieval.drop_vectors('things', 'random')")
    assert rows(database_url, FITS) == []
