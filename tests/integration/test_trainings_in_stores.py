"""A training whose folder is in a bucket: killed, resumed elsewhere, repeated, judged."""

import json

import pytest
import torch
from packs import write_pictures
from transformers import ViTModel
from unit.training.tiny import model

from image_retrieval.models.calibration import read_calibration
from image_retrieval.models.shipped import VISION
from image_retrieval.models.source import model_folder
from image_retrieval.training.photolike import draw_clouds
from integration.gates import command_at

GIVEN = ["--epochs", "16", "--batch-size", "32", "--checkpoint-every", "1", "--readers", "1"]
STEPS = 48


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The same sums in this process and in others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def packed(tmp_path) -> str:
    return write_pictures(tmp_path / "pack", list(draw_clouds(136, 0)[:, :36, :40]), held_out=40)


@pytest.fixture
def start(tmp_path) -> str:
    tiny: ViTModel = model("vit")
    tiny.save_pretrained(tmp_path / "start")
    sizes = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.2] * 3}
    (tmp_path / "start" / "preprocessor_config.json").write_text(json.dumps(sizes))
    return str(tmp_path / "start")


@pytest.mark.slow
def test_a_killed_training_goes_on_from_the_bucket_to_the_same_weights(
    report, command, store, collection, project, packed, start, tmp_path
):
    out = f"{collection.source}model"
    begun = ["training", "run", packed, out, "--start", start, *GIVEN, "--resume"]
    with command_at(lambda: store.exists(f"{out}/losses.json"), *begun) as process:
        process.kill()
    record = json.loads(store.read(f"{out}/training.json"))
    assert record["state"] == "running"
    assert 0 < len(json.loads(store.read(f"{out}/losses.json"))) < STEPS
    finished = report(*begun)
    assert finished["finished"]
    assert finished["steps"] == STEPS
    report("training", "run", packed, str(tmp_path / "unbroken"), "--start", start, *GIVEN)
    for name in ("model.safetensors", "losses.json"):
        assert store.read(f"{out}/{name}") == (tmp_path / "unbroken" / name).read_bytes(), name
    assert not store.exists(f"{out}/checkpoint.pt")
    assert report(*begun)["steps"] == STEPS
    for refused, words in (
        ([*begun, "--lr", "0.1"], "lr is None there, and 0.1 here"),
        (["training", "resume", out], "is finished: the folder is a model"),
    ):
        told = command(*refused)
        assert told.returncode == 2
        assert words in told.stderr

    folder = model_folder(f"{out}/", None, project)
    assert read_calibration(folder)
    for against, measured in ((start, {"trained", "before"}), (str(VISION), {"trained", "before", "start"})):
        assert command("training", "gate", packed, out, "--against", against).returncode == 1
        card, report = store.read(f"{out}/README.md").decode(), json.loads(store.read(f"{out}/gate.json"))
        assert set(report["figures"]) == measured
        assert card.count("## The gate") == 1
        assert f"Decision: {report['decision'].capitalize()}" in card
    assert f"| its start, {start} |" in card


def test_what_else_is_there_is_left_alone(command, store, collection, packed, start):
    store.write(f"{collection.source}other/picture.jpg", b"")
    told = command("training", "run", packed, f"{collection.source}other", "--start", start, "--batch-size", "32")
    assert told.returncode == 2
    assert "/other/ is not empty: it holds 'picture.jpg'" in told.stderr
    assert told.stderr.count("\n") == 1
