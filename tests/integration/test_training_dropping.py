"""A training is dropped, with its folders on request, unless somebody needs them; one that trains then ends."""

import json
from dataclasses import replace

import pytest
from packs import write_pictures

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.shipped import VISION
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.pipeline.training_dropping import drop_training
from image_retrieval.store import trainings
from image_retrieval.store.collections import record_made
from image_retrieval.store.connection import connect
from image_retrieval.store.trainings import Begun
from image_retrieval.training.photolike import draw_clouds
from integration.gates import command_at
from integration.tables import rows

KNOWN = (
    """INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token) VALUES (%s, %s, 'f', 4, true)"""
)
SHOWN = "INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('things', 's', '{}', 4)"
USES = {
    "shown": [SHOWN.format("mine")],
    "kept": [
        SHOWN.format("old"),
        "INSERT INTO retrieval.vector_space (collection, model) VALUES ('things', 'mine')",
        "CREATE TABLE retrieval.vector_things_mine ()",
    ],
    "coming": [
        SHOWN.format("old"),
        "INSERT INTO retrieval.switch (collection, from_model, to_model, state) "
        "VALUES ('things', 'old', 'mine', 'open')",
    ],
}


@pytest.fixture
def begin(project, store):
    """Write the row of a training, and files into its folders."""

    def begun(name="mine", state="passed", start=str(VISION)):
        folder = f"{project.work_uri.rstrip('/')}/trainings/{name}/"
        training = Begun(name, "things", "continue", start, start, {}, f"{folder}pack/", f"{folder}model/")
        with connect(project) as connection:
            require_own(connection, work_place(project), store)
            trainings.begin(connection, training, "one")
            trainings.advance(connection, name, state)
        for uri in (f"{training.pack}00000.tar", f"{training.model}training.json", f"{training.model}a/config.json"):
            store.write(uri, b"{}")
        return training

    return begun


def files(store, training):
    return sum(len(page) for uri in (training.pack, training.model) for page in store.pages(uri, missing_ok=True))


def test_the_row_goes_and_the_folders_on_request(begin, command, report, store, project):
    training = begin()
    for name in ("others", "mine2"):
        begin(name)
    assert report("training", "drop", "mine", "--dry-run")["model_files"] == 2
    assert command("training", "drop", "mine").returncode == 2  # nobody to ask
    assert report("training", "drop", "mine", "--yes")["pictures"] == 1
    assert files(store, training) == 3
    told = command("training", "drop", "mine", "--yes")
    assert told.returncode == 2
    assert "there is no training 'mine'" in told.stderr
    assert files(store, begin()) == 3
    assert report("training", "drop", "mine", "--yes", "--with-folders")["state"] == "passed"
    assert files(store, training) == 0
    assert rows(project.database(), "SELECT name FROM retrieval.training ORDER BY name") == [("mine2",), ("others",)]
    assert files(store, replace(training, pack=training.pack.replace("mine", "mine2"))) == 1


def test_what_is_under_way_stays_unless_forced(begin, store, project):
    training = begin(state="training")
    for folders in (False, True):
        with pytest.raises(Unavailable, match="under way: let it end; if it was killed, `image-retrieval training dro"):
            drop_training("mine", project, folders=folders)
    assert files(store, training) == 3
    drop_training("mine", project, folders=True, force=True)
    assert files(store, training) == 0


@pytest.mark.parametrize("use", ["shown", "kept", "coming", "listed", "texts", "captions", "made", "training"])
def test_a_model_that_is_needed_stays(begin, change_collection, project, store, use):
    training = begin()
    told = "collection 'things' needs the model 'mine'"
    with connect(project) as connection:
        for name, source in (("mine", training.model), ("old", "elsewhere")):
            connection.execute(KNOWN, (name, source))
        for words in USES.get(use, ()):
            connection.execute(words)
    if use == "listed":
        change_collection(model={"name": "other", "source": training.model.rstrip("/")})
    source = training.model.rstrip("/")
    if use == "texts":
        change_collection(text_model={"name": "other", "source": source})
    if use == "captions":
        change_collection(captions={"model": {"name": "other", "source": source}})
    if use == "made":
        made = Collection(name="made", source="s3://images/made/", model=ModelOptions(name="other", source=source))
        with connect(project) as connection:
            record_made(connection, made)
        told = "collection 'made' needs the model 'mine'"
    if use == "training":
        begin("next", state="gating", start=training.model)
        told = "training 'next' is under way and needs the model of 'mine'"
    with pytest.raises(UserError, match=told):
        drop_training("mine", project, folders=True)
    assert files(store, training) == 3
    drop_training("mine", project)
    assert files(store, training) == 3


def test_an_unused_models_name_is_free_again(begin, project, database_url):
    training = begin()
    with connect(project) as connection:
        connection.execute(KNOWN, ("mine", training.model))
    drop_training("mine", project, folders=True)
    assert rows(database_url, "SELECT count(*) FROM retrieval.model") == [(0,)]


def test_another_projects_folder_is_left_alone(begin, project, store):
    training = begin()
    store.write(work_place(project).mark_uri, json.dumps({"project": "another"}).encode())
    with pytest.raises(UserError, match="belongs to another project"):
        drop_training("mine", project, folders=True)
    assert files(store, training) == 3


@pytest.mark.slow
def test_a_process_that_trains_ends_and_writes_nothing_more(begin, project, store, tmp_path):
    training = begin(state="training")
    store.delete([f"{training.model}training.json", f"{training.model}a/config.json"])
    pack = write_pictures(tmp_path / "pack", list(draw_clouds(136, 0)[:, :36, :40]), held_out=40)
    given = ["--start", str(VISION), "--crop", "48", "--epochs", "500", "--batch-size", "32", "--checkpoint-every", "1"]
    arguments = ["training", "run", pack, training.model, *given, "--readers", "1", "--resume"]
    with command_at(lambda: store.exists(f"{training.model}losses.json"), *arguments) as process:
        drop_training("mine", project, folders=True, force=True)
        assert process.wait(timeout=100) == 2
    assert files(store, training) == 0
