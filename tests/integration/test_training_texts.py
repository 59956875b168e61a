"""Trainings on texts that a person asks for: from captions, or a file of pairs, to a model that is judged."""

import json
from dataclasses import replace

import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.pipeline import trainings
from image_retrieval.pipeline.running import run_collection
from image_retrieval.pipeline.training_requests import Wanted, gate_arguments, run_arguments
from image_retrieval.store.connection import connect
from image_retrieval.training.gating import report_folder
from image_retrieval.training.pairs.options import PairOptions
from integration.pictures import put, spots
from integration.tables import rows

TEXT = PairOptions(pack="", method="text", start=str(VISION), epochs=2, batch_size=32)
PAIRS = replace(TEXT, method="pairs", start=str(DUAL))
WRONG = [
    (TEXT, {"start": str(DUAL)}, "of type 'chinese_clip', a dual encoder: choose method pairs"),
    (PAIRS, {"start": str(VISION)}, "a model of pictures alone: choose method text"),
    (TEXT, {"start": "random"}, "method text goes on from a model: state one as the start"),
    (TEXT, {"general": "s3://b/pack"}, "general is for method pairs: with method text, vectors of pictures stay"),
    (
        PAIRS,
        {"general": "s3://image-retrieval/no/pack"},
        "s3://image-retrieval/no/pack/ holds no complete training set",
    ),
    (TEXT, {"gpus": 2}, "method text trains on one machine with one GPU: ask for one of each"),
    (TEXT, {"against": "models/other"}, "method text is judged against its start: leave `against` empty"),
    (TEXT, {"source": "s3://image-retrieval/none.tsv"}, "s3://image-retrieval/none.tsv does not exist"),
    (TEXT, {"held_out": 0.1}, "of 90 pictures of things with texts, about 81 are to learn from and 9 to judge by"),
    (
        TEXT,
        {"images": 70},
        "of 70 pictures of things with texts, about 56 are to learn from and 14 to judge by: at least 64",
    ),
]


@pytest.fixture
def filled(project, change_collection, store):
    """A collection with captions of all pictures but ten."""
    changed = change_collection(id_pattern=None)
    put(store, changed.source, spots(100))
    run_collection(changed, "first", project)
    with connect(project) as connection:
        connection.execute("UPDATE retrieval.image SET caption = 'spots of kind ' || id WHERE image_id < '0090'")
    return changed


@pytest.fixture
def pairs(store, collection):
    """A file of pairs of the collection's pictures."""
    found = spots(100)
    lines = [json.dumps({"uri": f"{collection.source}{name}", "text": f"spots, {name}"}) for name in found]
    uri = f"{collection.source.rstrip('/')}-pairs.jsonl"
    store.write(uri, "\n".join(lines).encode())
    return uri


def wanted(options, **others):
    return Wanted(**{"name": "mine", "source": "things", "options": options, "held_out": 0.2} | others)


def trained(wished, project, report):
    """Take each step of a training, as the DAG does, most of them twice; returns its row."""
    training = trainings.begin(wished, "one", project)
    assert gate_arguments(training) == []
    for _ in range(2):
        manifest = trainings.pack("mine", project)
    found = report(*run_arguments(training))
    for _ in range(2):
        figures = trainings.take_in("mine", project).figures
    assert figures["steps"] == figures["steps_in_all"] == found["steps"]
    assert manifest["images"] == figures["learnt"] + figures["held_out"]
    return trainings.register("mine", project)


def require_refused(project, database_url):
    """What is wrong is told before anything is written."""
    for base, options, told in WRONG:
        own = {name: value for name, value in options.items() if hasattr(base, name)}
        others = {name: value for name, value in options.items() if name not in own}
        with pytest.raises(UserError) as error:
            trainings.begin(wanted(replace(base, **own), **others), "one", project)
        assert told in str(error.value)
        assert "\n" not in str(error.value)
    assert rows(database_url, "SELECT count(*) FROM retrieval.training") == [(0,)]


def test_a_collections_captions_teach_a_model_to_read(filled, project, report, store, database_url):
    require_refused(project, database_url)
    training = trained(wanted(TEXT), project, report)
    assert (training.state, training.method, training.against) == ("undecided", "text", str(VISION))
    assert "pictures with texts are held out: at least 100 are needed" in training.reason
    assert training.figures["learnt"] + training.figures["held_out"] == 90
    assert store.exists(f"{training.model}text_side.safetensors")
    shown = report("training", "show", "mine")
    assert shown["gate"]["after"]["held_out"]["en"]["text_to_image"]["queries"] == training.figures["held_out"]
    assert shown["folder"]["losses"][0]["step"] == training.figures["steps"]
    assert trainings.gate_report(training, store).startswith("# Undecided\n")
    assert report_folder(training.model, project) is None  # `training gate` leaves the report there alone
    assert trainings.close("mine", "one", project).decision is None
    assert rows(database_url, "SELECT count(*) FROM retrieval.model WHERE name = 'mine'") == [(0,)]
    again = wanted(replace(TEXT, seed=1))
    with pytest.raises(UserError, match="was begun with seed 0, not 1"):
        trainings.begin(again, "two", project)


@pytest.mark.slow
def test_a_file_of_pairs_fine_tunes_a_dual_encoder(filled, pairs, project, report, store):
    training = trained(wanted(replace(PAIRS, general=pairs), source=pairs), project, report)
    assert training.state in ("refused", "undecided")
    assert training.gate["after"]["general"].keys() == {"en"}
    assert store.exists(f"{training.pack}general/texts.jsonl")
    assert store.exists(f"{training.model}config.json") == (training.state == "undecided")
