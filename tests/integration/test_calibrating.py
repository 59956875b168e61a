"""Scores of a model that brings no calibration are fitted on the collection, kept, and fitted again as it changes."""

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import psycopg
import pytest
from structlog.testing import capture_logs

from image_retrieval.client import Client
from image_retrieval.collection import ModelOptions
from image_retrieval.models.calibration import DIRECTIONS, FILE
from image_retrieval.models.chance import LEAST_VECTORS
from image_retrieval.models.probes import read_probes
from image_retrieval.models.shipped import DUAL
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.running import run_collection, run_shards
from image_retrieval.pipeline.shown import find_shown
from image_retrieval.pipeline.switching import check_switch, plan_switch
from image_retrieval.scenes import draw_scenes
from image_retrieval.shards import probes_uri
from image_retrieval.store.calibrations import Fit, count_vectors, keep_fit, sample_vectors
from image_retrieval.store.connection import connect
from image_retrieval.store.switches import list_models
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
        assert max(each.fitted_at for each in info.scores) == datetime.fromisoformat(listed["fitted_at"])
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
    [listed] = report("models", "list", "--json")["models"]
    assert listed["scores"] == "fitted"  # those by texts
    calibrate_by_hand(database_url, (DUAL / FILE).read_text())
    [listed] = report("models", "list", "--json")["models"]
    assert (listed["scores"], listed["fitted_at"]) == ("own", None)


def change(url, *statements):
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def test_they_are_fitted_again_when_the_collection_has_changed_much(dual, scenes, project, store, database_url, report):
    put(store, dual.source, scenes)
    run_collection(dual, "first", project)
    functions = "SELECT direction, slope, middle FROM retrieval.calibration ORDER BY direction"
    fitted = rows(database_url, functions)
    assert keep_calibrated(dual, project) == {}

    column = "UPDATE retrieval.calibration SET {} = {} WHERE direction = '{}'".format
    change(database_url, column("vectors", 27, "image_image"), column("phrases", 0, "text_image_zh"))
    assert {*keep_calibrated(dual, project)} == {"text_image_zh"}  # grown, but not by half; another list of phrases
    change(database_url, column("vectors", 26, "image_image"), column("vectors", 81, "text_image_en"))
    told = report("upkeep", "things")["scores"]
    assert {*told} == {"image_image", "text_image_en"}
    assert all(text.startswith("cutoff at cosine 0.") for text in told.values())

    renew = "UPDATE retrieval.image SET updated = now() + interval '{}' WHERE id IN (SELECT min(id) + n FROM "
    renew += "retrieval.image, generate_series(0, {}) AS n GROUP BY n)"
    change(database_url, renew.format("1 s", 19))
    assert keep_calibrated(dual, project) == {}  # half of the pictures are others
    change(database_url, renew.format("1 s", 20))
    assert {*keep_calibrated(dual, project)} == {*DIRECTIONS}
    change(database_url, "UPDATE retrieval.image SET updated = first_seen")
    assert keep_calibrated(dual, project) == {}
    change(database_url, "UPDATE retrieval.shard SET finished_at = now()")  # as a full re-scan leaves it
    assert {*keep_calibrated(dual, project)} == {*DIRECTIONS}
    assert rows(database_url, functions) == fitted  # the same collection gives the same scores

    change(
        database_url, "UPDATE retrieval.image SET deleted = now() WHERE id IN (SELECT id FROM retrieval.image LIMIT 11)"
    )
    assert keep_calibrated(dual, project) == {}
    assert rows(database_url, functions) == []  # too few are left
    change(database_url, "UPDATE retrieval.image SET deleted = NULL")
    calibrate_by_hand(database_url, (DUAL / FILE).read_text())
    assert keep_calibrated(dual, project) == {}  # it brings all of them


def test_the_fit_needs_neither_torch_nor_the_model(dual, scenes, project, store, database_url, monkeypatch):
    put(store, dual.source, scenes)
    run_collection(dual, "first", project)
    functions = "SELECT direction, slope, middle, probes FROM retrieval.calibration ORDER BY direction"
    fitted = rows(database_url, functions)
    probes = probes_uri(project.work_uri, "things", "dual")
    left = store.read(probes)

    cluster = project.model_copy(update={"runner": "kubernetes"})
    forget = "DELETE FROM retrieval.calibration"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        patch.setattr("image_retrieval.models.source.model_folder", None)
        change(database_url, forget)
        assert {*keep_calibrated(dual, cluster)} == {*DIRECTIONS}
        assert rows(database_url, functions) == fitted

        change(database_url, forget)
        store.delete([probes])  # as of a collection that an earlier version embedded
        with capture_logs() as logs:
            assert {*keep_calibrated(dual, cluster)} == {"image_image"}
            assert keep_calibrated(dual, cluster) == {}
        assert "it is not probed yet" in logs[0]["event"]
        assert [(row[0], row[3]) for row in rows(database_url, functions)] == [("image_image", 0)]
        store.write(probes, left)
        assert {*keep_calibrated(dual, cluster)} == {*DIRECTIONS}  # pictures are better fitted with copies
        assert rows(database_url, functions) == fitted
        change(database_url, "UPDATE retrieval.model SET digest = 'other'", forget)
        assert {*keep_calibrated(dual, cluster)} == {"image_image"}  # not with the probes of other files

    [(digest,)] = {(read_probes(store, probes).digest,)}
    change(database_url, f"UPDATE retrieval.model SET digest = '{digest}'", forget)
    store.delete([probes])
    [*kept] = [uri for (uri,) in rows(database_url, "SELECT resampled_uri FROM retrieval.image ORDER BY id LIMIT 10")]
    store.delete(kept[:5])
    for uri in kept[5:]:
        store.write(uri, b"no picture")
    assert {*keep_calibrated(dual, project)} == {*DIRECTIONS}  # on one machine the model is asked for what is missing
    assert [row[3] for row in rows(database_url, functions)] == [IMAGES - 10, 100, 100]


def test_similarities_that_are_no_cosines_are_not_scored(project, collection, database_url):
    fill(project, collection, IMAGES)
    assert {*keep_calibrated(collection, project)} == {"image_image"}
    change(database_url, "UPDATE retrieval.collection SET distance = 'l2'")
    assert keep_calibrated(collection.model_copy(update={"distance": "l2"}), project) == {}
    with connect(project) as connection:
        shown = find_shown(connection, project, "things")
        assert (shown.calibrations, shown.scores) == (None, ())
        assert [row.fitted_at for row in list_models(connection)] == [None]


@pytest.mark.slow
def test_a_switch_fits_the_scores_before_it_shows_the_other_model(
    collection, tmp_path, scenes, project, store, database_url
):
    put(store, collection.source, scenes)
    run_collection(collection, "first", project)
    folder = shutil.copytree(DUAL, tmp_path / "dual", ignore=shutil.ignore_patterns(FILE))
    other = ModelOptions(name="dual", source=str(folder))
    plan_switch(collection, other, "switch", project)
    run_shards(collection, "switch", project)
    check_switch(collection, "dual", project)
    shown = "SELECT model FROM retrieval.collection"
    fits = "SELECT direction FROM retrieval.calibration WHERE model = 'dual' AND slope IS NOT NULL ORDER BY direction"
    assert rows(database_url, shown) == [("random",)]
    assert rows(database_url, fits) == [(direction,) for direction in DIRECTIONS]
    probes = {model: probes_uri(project.work_uri, "things", model) for model in ("dual", "random")}
    assert {model: bool(read_probes(store, uri).texts) for model, uri in probes.items()} == {
        "dual": True,
        "random": False,
    }


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
    [warning] = [line for line in logs if line["log_level"] == "warning"]
    assert (warning["event"], "\n" in warning["reason"]) == ("the model is probed without texts", False)
    [told] = [line for line in logs if line["event"].startswith("the scores of texts are not fitted")]
    assert told["directions"] == ["text_image_en", "text_image_zh"]
    assert [direction for direction, *_ in rows(database_url, FITS)] == ["image_image"]


def test_without_kept_pictures_chance_alone_decides_until_the_vectors_go(project, collection, database_url):
    fill(project, collection, IMAGES)
    assert "cutoff" in keep_calibrated(collection, project)["image_image"]
    assert rows(database_url, FITS) == [("image_image", IMAGES, IMAGES, 0, None)]
    change(database_url, "DROP VIEW images.things", "SELECT retrieval.drop_vectors('things', 'random')")
    assert rows(database_url, FITS) == []
    fit = Fit("image_image", 20, 0.6, None, 0.05, 40, 40, 0, None)
    with connect(project) as connection:
        keep_fit(connection, collection.space, fit)  # of vectors that were dropped while it was fitted
    assert rows(database_url, FITS) == []


def test_a_sample_comes_from_all_over_a_table_and_is_the_same_each_time(project, collection, database_url):
    vectors = fill(project, collection, 20_000)
    change(database_url, "UPDATE retrieval.image SET deleted = now() WHERE id % 10 = 0")
    with connect(project) as connection:
        count = count_vectors(connection, collection.space, None).vectors
        first, second = (sample_vectors(connection, collection.space, count, 200) for _ in range(2))
    assert (count, len(first), first) == (18_000, 200, second)
    numbers = {vector.tobytes(): number for number, vector in enumerate(vectors)}
    places = [numbers[np.array(row.embedding.to_list(), np.float32).tobytes()] for row in first]
    assert len({*places}) == 200
    assert min(np.histogram(places, 5, (0, 20_000))[0]) >= 10


def test_a_fit_and_a_drop_at_once_leave_no_fit_of_dropped_vectors(project, collection, database_url):
    fill(project, collection, 2)
    fit = Fit("image_image", 20, 0.6, None, 0.05, 40, 40, 0, None)
    drop = "DELETE FROM retrieval.vector_space"
    with ThreadPoolExecutor(1) as pool:
        with connect(project) as dropping:
            dropping.execute(drop)

            def keep():
                with connect(project) as connection:
                    keep_fit(connection, collection.space, fit)

            kept = pool.submit(keep)
            while not rows(database_url, "SELECT FROM pg_locks WHERE NOT granted"):
                assert not kept.done()
        kept.result(10)
    assert rows(database_url, FITS) == []
