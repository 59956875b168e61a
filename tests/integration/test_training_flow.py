"""From what a person asks for to a model that is judged and known by its name, step by step."""

import json
from dataclasses import replace

import pytest

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.pipeline import trainings
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.training_requests import Wanted, gate_arguments, run_arguments
from image_retrieval.training.options import TrainingOptions
from integration.pictures import put, spots
from integration.tables import rows

OPTIONS = TrainingOptions(pack="", method="continue", start=str(VISION), epochs=1, batch_size=32, crop=56, rate=1e-5)
WRONG = [
    ({"source": "nothing"}, "'nothing' is neither a collection that has images nor the URI of an index file"),
    ({"name": "Mine"}, "name 'Mine' of the model"),
    ({"name": "random"}, "there is a model 'random' already"),
    ({"start": str(DUAL)}, "of type 'chinese_clip', a dual encoder: training starts from"),
    ({"start": "no/model/here"}, "does not exist"),
    ({"start": "random"}, "method continue goes on from a model"),
    ({"backbone": "resnet18"}, "backbone 'resnet18' is for a start from 'random'"),
    ({"batch_size": 80}, "things has 90 images, of which about 72 are to learn from: at least 80 are needed"),
    ({"images": 50}, "things has 50 images"),
    ({"gpus": 3}, "a batch of 32 does not divide into 3 parts"),
    ({"machines": 2}, "2 machines: several are for trainings in pods; set IMAGE_RETRIEVAL_RUNNER=kubernetes"),
    ({"held_out": 0.0}, "a share of 0 to hold out"),
]


@pytest.fixture
def filled(project, change_collection, store):
    """A collection with vectors, large enough to learn from."""
    changed = change_collection(id_pattern=None)
    put(store, changed.source, spots(90))
    run_collection(changed, "first", project)
    return changed


def wanted(**options):
    return Wanted(**{"name": "mine", "source": "things", "options": OPTIONS, "held_out": 0.2} | options)


def test_each_step_may_be_repeated_until_the_gate_has_spoken(filled, project, command, report, store, database_url):
    for _ in range(2):
        training = trainings.begin(wanted(), "one", project)
    assert (training.start, training.state) == (str(VISION), "packing")
    assert training.against == filled.model.source
    with pytest.raises(UserError, match="is not finished"):
        trainings.take_in("mine", project)
    for _ in range(2):
        manifest = trainings.pack("mine", project)
        assert report(*run_arguments(training))["finished"]
        figures = trainings.take_in("mine", project).figures
    assert figures["steps"] == figures["steps_in_all"] == (manifest["images"] - manifest["held_out"]) // 32
    with pytest.raises(UserError, match="was not judged yet"):
        trainings.register("mine", project)
    done = command(*gate_arguments(training))
    assert done.returncode == 0, done.stderr
    for _ in range(2):
        assert trainings.register("mine", project).state == "undecided"
    assert (
        trainings.close("mine", "one", project).reason == f"{manifest['held_out']} pictures are held out: at least "
        "100 are needed"
    )
    assert rows(database_url, "SELECT count(*) FROM retrieval.model WHERE name = 'mine'") == [(0,)]

    shown = report("training", "show", "mine")
    assert (shown["state"], shown["folder"]["state"]) == ("undecided", "finished")
    assert shown["gate"]["held_out"] == manifest["held_out"]
    assert shown["folder"]["losses"][0]["step"] == figures["steps"]
    [listed] = report("training", "list", "--json")["trainings"]
    assert (listed["name"], listed["gated"], listed["run_id"]) == ("mine", "undecided", "one")
    assert "undecided" in command("training", "list").stdout

    trainings.advance("mine", "packing", project)  # by another run
    assert trainings.read_training("mine", project).state == "undecided"

    assert store.exists(f"{training.model}gate.png")
    assert command("collections", "drop", "things", "--yes").returncode == 0
    assert not store.exists(f"{training.model}gate.png")
    assert not any(store.pages(training.pack, missing_ok=True))  # the model stays
    assert store.exists(f"{training.model}config.json")


def test_what_is_wrong_is_told_before_anything_is_written_and_a_name_stands_for_one_training(
    filled, project, database_url
):
    for options, told in WRONG:
        own = {name: value for name, value in options.items() if hasattr(OPTIONS, name)}
        others = {name: value for name, value in options.items() if name not in own}
        with pytest.raises(UserError) as error:
            trainings.begin(wanted(options=replace(OPTIONS, **own), **others), "one", project)
        assert told in str(error.value)
        assert "\n" not in str(error.value)
    assert rows(database_url, "SELECT count(*) FROM retrieval.training") == [(0,)]

    begun = trainings.begin(wanted(options=replace(OPTIONS, start="")), "one", project)
    assert begun.start == begun.against == filled.model.source
    with pytest.raises(UserError, match="was begun with epochs 1, not 2: give the new one another name"):
        trainings.begin(wanted(options=replace(OPTIONS, start="", epochs=2)), "two", project)
    assert trainings.begin(wanted(options=replace(OPTIONS, start="")), "two", project).run_id == "two"
    same = wanted(options=replace(OPTIONS, start=""))
    with pytest.raises(UserError, match="run 'two' is at work on training 'mine', or asks for an approval"):
        trainings.begin(same, "three", project, lambda run: run == "two")
    with pytest.raises(Unavailable, match="training 'mine' of collection 'things' is under way"):
        drop_collection("things", project)
    with pytest.raises(UserError, match="training 'mine' failed: it ended while it was packing"):
        trainings.close("mine", "two", project)
    with pytest.raises(UserError, match="no training was begun"):
        trainings.close("mine", "one", project)


def test_a_model_that_passed_and_cannot_be_known_by_its_name_is_told_so(filled, project, store, database_url):
    training = trainings.begin(wanted(), "one", project)
    report = {"decision": "passed", "reason": "it is better"}
    store.write(f"{training.model}gate.json", json.dumps(report).encode())
    with pytest.raises(UserError) as error:
        trainings.register("mine", project)  # there is no model
    found = trainings.read_training("mine", project)
    assert (found.state, found.reason, found.gate) == ("failed", str(error.value), report)
    with pytest.raises(UserError, match="training 'mine' failed: "):
        trainings.close("mine", "one", project)
