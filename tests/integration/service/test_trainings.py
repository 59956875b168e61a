"""What the service tells of trainings."""

import json

import pytest

from image_retrieval.objects import ObjectStore
from image_retrieval.store import trainings
from image_retrieval.store.connection import connect
from image_retrieval.store.trainings import Begun

FIGURES = {"steps": 2, "steps_in_all": 8, "epochs": 0.5, "loss_first": 4.9, "loss_last": 4.7}
LOSSES = [{"step": 1, "epoch": 0.25, "loss": 4.9}, {"step": 2, "epoch": 0.5, "loss": 4.7}]
PNG = b"\x89PNG\r\n\x1a\nexamples"


@pytest.fixture(scope="module")
def training(served):
    """A training that is under way, as its row and its folder tell."""
    folder = f"{served.work_uri}trainings/mine/"
    begun = Begun(
        "mine", "things", "continue", "models/a", "models/b", {"seed": 0}, f"{folder}pack/", f"{folder}model/"
    )
    store = ObjectStore(served)
    store.write(f"{begun.model}training.json", json.dumps({"state": "running", "figures": FIGURES}).encode())
    store.write(f"{begun.model}losses.json", json.dumps(LOSSES).encode())
    with connect(served) as connection:
        trainings.begin(connection, begun, "one")
        trainings.advance(connection, "mine", "training")
    return begun


def test_a_training_is_followed_while_it_runs_and_shown_once_it_is_judged(client, training, served):
    [listed] = client.get("/api/trainings").json()["trainings"]
    assert (listed["name"], listed["state"], listed["gated"]) == ("mine", "training", None)
    found = client.get("/api/trainings/mine").json()
    assert found["folder"] == {"state": "running", "figures": FIGURES, "losses": LOSSES}
    answer = client.get("/api/trainings/mine/examples")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_examples")

    ObjectStore(served).write(f"{training.model}gate.png", PNG)
    with connect(served) as connection:
        trainings.write_gate(connection, "mine", {"decision": "passed", "examples": [1]}, "passed", "better")
    found = client.get("/api/trainings/mine").json()
    assert (found["state"], found["gate"]) == ("passed", {"decision": "passed"})
    answer = client.get("/api/trainings/mine/examples")
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")


@pytest.mark.parametrize("name", ["nothing", "%2e%2e", "x" * 100, "a%00b"])
def test_an_unknown_training_is_told(client, name):
    for path in (f"/api/trainings/{name}", f"/api/trainings/{name}/examples"):
        answer = client.get(path)
        assert 400 <= answer.status_code < 500
        assert answer.json()["code"]
