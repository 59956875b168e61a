"""A collection goes to another model and back while people search, and runs and kills come in between."""

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress

import psycopg
import pytest
from random_weights import save_random_dinov2

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.local import services
from image_retrieval.models.shipped import VISION
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.models_in_use import drop_expired_vectors, list_models
from image_retrieval.pipeline.running import run_collection, run_shards
from image_retrieval.pipeline.switching import (
    Uncovered,
    check_switch,
    complete_switch,
    plan_switch,
    roll_back,
    switch_collection,
)
from integration.gates import SECONDS, a_gate, command_at
from integration.pictures import FIRST, LATER, SCENES, put
from integration.tables import OTHER, VECTORS, rows, shown_is_one_models


@pytest.fixture(scope="session")
def other_model(tmp_path_factory):
    """A model of the same shape and other weights."""
    folder = tmp_path_factory.mktemp("other")
    save_random_dinov2(folder, seed=1)
    return folder


@pytest.fixture
def other(other_model):
    return ModelOptions(name="other", source=str(other_model), batch_size=16)


@pytest.fixture
def filled(project, collection, store):
    put(store, collection.source, FIRST)
    run_collection(collection, "first", project)
    return collection


def shown(url):
    return rows(url, "SELECT model, overrules FROM retrieval.collection")[0]


def states(url):
    return [state for (state,) in rows(url, "SELECT state FROM retrieval.switch ORDER BY id")]


def uncovered(url):
    """Images with a vector under one model and none of the same version under the other."""
    query = (
        f"SELECT count(*) FROM {VECTORS} AS a FULL JOIN {OTHER} AS b USING (id) WHERE a.etag IS DISTINCT FROM b.etag"
    )
    return rows(url, query)[0][0]


def test_a_switch_takes_the_pictures_that_are_kept(filled, other, project, store, database_url):
    before = rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1")
    store.delete([filled.source + key for key in FIRST])  # not even there any more
    figures = switch_collection(filled, other, "go", project)
    assert (figures["from"], figures["to"]) == ("random", "other")
    assert (figures["images"], figures["covered"], figures["rejected"], figures["sampled"]) == (12, 12, 0, 12)
    assert figures["recall"] == {"random": 1.0, "other": 1.0}
    assert 0 < figures["overlap_at_10"] <= 1
    assert set(figures["same_group_at_10"]) == {"random", "other"}
    after = rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1")
    assert [row[0] for row in after] == [row[0] for row in before]
    assert all(one != two for (_, one), (_, two) in zip(before, after, strict=True))
    assert shown(database_url) == ("other", "random")
    assert states(database_url) == ["switched"]


def test_a_kept_picture_gives_the_vector_of_its_original(filled, other, project, database_url):
    switch_collection(filled, other, "go", project)
    digests = rows(database_url, f"SELECT id, digest FROM {OTHER} ORDER BY id")
    entry = filled.model_copy(update={"model": other})
    run_collection(entry, "full", project, full=True)
    assert rows(database_url, f"SELECT id, digest FROM {OTHER} ORDER BY id") == digests


def test_images_without_a_kept_picture_are_resampled_again(filled, other, project, store, database_url):
    kept = [path for (path,) in rows(database_url, "SELECT resampled_image_path FROM images.things ORDER BY image_id")]
    store.delete(kept[:1])
    rows(database_url, "UPDATE retrieval.image SET resampled_uri = NULL WHERE resampled_uri = %s RETURNING 1", kept[1])
    store.write(kept[2], next(iter(SCENES.values())))  # of another size
    assert switch_collection(filled, other, "go", project)["covered"] == 12
    assert uncovered(database_url) == 0


def test_a_switch_holds_until_the_file_names_another_model(
    filled, other, project, store, database_url, change_collection
):
    switch_collection(filled, other, "go", project)
    put(store, filled.source, LATER)
    assert run_collection(filled, "second", project)["upserted"] == 4
    assert rows(database_url, f"SELECT count(*) FROM {OTHER}") == [(16,)]
    assert shown(database_url) == ("other", "random")
    caught_up = change_collection(model=other.model_dump())
    assert run_collection(caught_up, "third", project)["new"] == 0
    assert shown(database_url) == ("other", None)
    assert run_collection(filled, "fourth", project)["upserted"] == 4  # random lacks what came since
    assert shown(database_url) == ("random", None)
    assert states(database_url) == ["switched", "switched"]


def test_new_images_go_to_both_models_while_a_switch_is_open(filled, other, project, store, database_url):
    plan_switch(filled, other, "go", project)
    put(store, filled.source, LATER | {next(iter(FIRST)): next(iter(LATER.values()))})  # new ones and a changed one
    found = run_collection(filled, "second", project)
    assert (found["new"], found["changed"], found["shards"]) == (4, 1, 2)
    assert rows(database_url, f"SELECT count(*) FROM {OTHER}") == [(5,)]
    run_shards(filled, "go", project)  # its plan is from before the change
    assert uncovered(database_url) == 0
    assert check_switch(filled, "other", project)["covered"] == 16
    complete_switch(filled, "other", project)
    assert shown(database_url)[0] == "other"


def test_what_came_otherwise_keeps_the_view_from_being_replaced(filled, other, project, store, database_url):
    put(store, filled.source, LATER)
    list_images(filled, "second", project)  # before the switch is opened
    plan_switch(filled, other, "go", project)
    run_shards(filled, "go", project)
    run_shards(filled, "second", project)
    with pytest.raises(Uncovered, match=r"4 of 16 images of collection 'things' have no vector under model 'other'"):
        complete_switch(filled, "other", project)
    assert shown(database_url) == ("random", None)
    switch_collection(filled, other, "again", project)
    assert shown(database_url)[0] == "other"
    assert shown_is_one_models(database_url) == (16, 16)


def test_a_run_that_a_switch_overtakes_leaves_the_view_alone(filled, other, project, store, database_url):
    put(store, filled.source, LATER)
    list_images(filled, "second", project)
    switch_collection(filled, other, "go", project)
    run_collection(filled, "second", project)  # planned under the former model
    assert shown(database_url) == ("other", "random")
    assert rows(database_url, "SELECT count(*) FROM images.things") == [(12,)]
    run_collection(filled, "third", project)
    assert shown_is_one_models(database_url) == (16, 16)


def test_rollback_goes_back_and_holds(filled, other, project, database_url):
    before = rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1")
    switch_collection(filled, other, "go", project)
    assert roll_back(filled, project) == {"before": "other", "now": "random"}
    assert rows(database_url, "SELECT image_id, embedding::text FROM images.things ORDER BY 1") == before
    assert (shown(database_url), states(database_url)) == (("random", None), ["rolled_back"])
    run_collection(filled, "second", project)
    assert shown(database_url) == ("random", None)
    with pytest.raises(UserError, match="was not switched: there is no model to roll back to"):
        roll_back(filled, project)


def test_rollback_gives_an_open_switch_up(filled, other, project, database_url):
    plan_switch(filled, other, "go", project)
    assert roll_back(filled, project) == {"before": "random", "now": "random"}
    assert states(database_url) == ["given_up"]
    with pytest.raises(UserError, match="no switch of collection 'things' to model 'other' is open"):
        complete_switch(filled, "other", project)


def test_former_vectors_are_dropped_after_their_time(filled, other, project, database_url):
    switch_collection(filled, other, "go", project)
    assert drop_expired_vectors(project) == []
    assert [(row["model"], row["state"]) for row in list_models(project)] == [("other", "shown"), ("random", "kept")]
    rows(database_url, "UPDATE retrieval.switch SET ended_at = ended_at - interval '8 days' RETURNING 1")
    rows(database_url, "UPDATE retrieval.run SET started_at = started_at - interval '8 days' RETURNING 1")
    assert drop_expired_vectors(project) == ["vector_things_random"]
    assert drop_expired_vectors(project) == []
    assert rows(
        database_url, "SELECT count(*) FROM images.search('things', (SELECT embedding FROM images.things LIMIT 1))"
    ) == [(10,)]
    with pytest.raises(UserError, match="were dropped after 7 days: switch to that model instead"):
        roll_back(filled, project)


def test_a_model_of_another_length_and_size(filled, project, database_url):
    query = "SELECT count(*), min(vector_dims(embedding)), max(vector_dims(embedding)) FROM images.things"
    switch_collection(filled, ModelOptions(name="short", source=str(VISION)), "go", project)
    assert rows(database_url, query) == [(12, 128, 128)]
    roll_back(filled, project)
    assert rows(database_url, query) == [(12, 192, 192)]


def search_until(stop, url, models, failures, answers):
    """Search by an image and by its vector; note each answer's model, which all of its similarities must be of."""
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            try:
                found = connection.execute(
                    "SELECT image_id, similarity FROM images.similar_to('things', %s, k => 8)", [models["image"]]
                ).fetchall()
                plain = connection.execute(
                    b"SELECT image_id, embedding::text FROM images.things ORDER BY image_id"
                ).fetchall()
            except psycopg.Error as error:
                failures.append(str(error))
                continue
            answers["search", models["answers"].get(tuple(found), "mixed")] += 1
            answers["view", models["rows"].get(tuple(plain), "mixed")] += 1


def answer_of(url, image):
    answer = tuple(rows(url, "SELECT image_id, similarity FROM images.similar_to('things', %s, k => 8)", image))
    return answer, tuple(rows(url, "SELECT image_id, embedding::text FROM images.things ORDER BY image_id"))


def test_searches_never_fail_and_never_mix_models(filled, other, project, database_url):
    [(image,)] = rows(database_url, "SELECT image_id FROM images.things ORDER BY image_id LIMIT 1")
    models = {"image": image, "answers": {}, "rows": {}}
    for name in ("random", "other"):
        answer, content = answer_of(database_url, image) if name == "random" else (None, None)
        if name == "other":
            switch_collection(filled, other, "first_switch", project)
            answer, content = answer_of(database_url, image)
        models["answers"][answer], models["rows"][content] = name, name
    assert len(models["answers"]) == len(models["rows"]) == 2
    stop, failures, answers = threading.Event(), [], Counter()
    threads = [
        threading.Thread(target=search_until, args=(stop, database_url, models, failures, answers)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            roll_back(filled, project)
            switch_collection(filled, other, "again", project)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert set(answers) == {(kind, name) for kind in ("search", "view") for name in ("random", "other")}


GATES = {
    "plan": "INSERT ON retrieval.run",
    "upsert": "INSERT ON retrieval.shard",
    "checks": "UPDATE OF checks ON retrieval.switch",
    "show": "UPDATE OF model ON retrieval.collection",
    "record": "UPDATE OF state ON retrieval.switch",
}


@pytest.mark.parametrize(
    "gate", [pytest.param(gate, marks=[] if gate == "show" else pytest.mark.slow) for gate in GATES]
)
def test_a_killed_switch_is_whole_or_not_at_all(gate, filled, other, project, database_url):
    command = ["models", "switch", "things", "other", "--source", other.source]
    with a_gate(database_url, GATES[gate]) as is_reached, command_at(is_reached, *command) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert shown(database_url) == ("random", None)
        assert rows(database_url, f"SELECT count(*) FROM images.things JOIN {VECTORS} USING (embedding)") == [(12,)]
    assert switch_collection(filled, other, "again", project)["to"] == "other"
    assert shown(database_url) == ("other", "random")
    assert shown_is_one_models(database_url) == (12, 12)
    assert switch_collection(filled, other, "once_more", project)["to"] == "other"  # is done already
    assert states(database_url) == ["switched"]


def start_again(folder):
    """Start what is down, once the processes of a killed PostgreSQL have let go of its memory."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return services.up(folder, lambda line: None)
        except UserError:
            assert time.monotonic() < end, "it does not start"
            time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("gate", ["upsert", "record"])
def test_a_killed_postgresql_leaves_one_model_or_the_other(gate, filled, other, project, database_url, services_folder):
    command = ["models", "switch", "things", "other", "--source", other.source]
    with (
        suppress(psycopg.OperationalError),
        a_gate(database_url, GATES[gate]) as is_reached,
        command_at(is_reached, *command) as process,
    ):
        os.kill(int((services_folder / "postgres/data/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert process.wait() != 0
    start_again(services_folder)
    with psycopg.connect(database_url) as connection:
        connection.execute("DROP FUNCTION wait_at_gate CASCADE")
    assert shown(database_url) == ("random", None)
    switch_collection(filled, other, "again", project)
    assert shown(database_url) == ("other", "random")
    assert shown_is_one_models(database_url) == (12, 12)
    assert uncovered(database_url) == 0


def test_a_switch_needs_vectors(collection, other, project):
    with pytest.raises(UserError, match="collection 'things' has no vectors yet: run `image-retrieval run things`"):
        plan_switch(collection, other, "go", project)


def test_models_from_a_terminal(filled, other, report, command, database_url):
    refused = command("models", "switch", "things", "other")
    assert (refused.returncode, refused.stderr) == (
        2,
        "image-retrieval: no collection has used a model 'other' yet: give its source\n",
    )
    assert report("models", "switch", "things", "other", "--source", other.source)["covered"] == 12
    found = {row["model"]: row["state"] for row in report("models", "list", "--json")["models"]}
    assert found == {"other": "shown", "random": "kept"}
    searched = command("search", "things", "--id", rows(database_url, "SELECT min(image_id) FROM images.things")[0][0])
    assert searched.returncode == 0
    assert report("models", "rollback", "things") == {"before": "other", "now": "random"}
    assert report("models", "switch", "things", "other")["to"] == "other"
