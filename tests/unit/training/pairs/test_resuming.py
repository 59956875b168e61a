"""A training on pairs that was ended goes on to the same weights, and only with what it began with."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from packs import write_pictures

from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training.pairs import running
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.paired import write_texts
from image_retrieval.training.pairs.texts import Pair
from image_retrieval.training.photolike import draw_clouds
from image_retrieval.training.progress import Meter
from image_retrieval.training.recording import begun
from image_retrieval.training.records import begin_record, update_record

PICTURES, HELD_OUT = 84, 16
STARTS = {"text": VISION, "pairs": DUAL}
NEGATIVES = {str(number): [str(number ^ 1)] for number in range(68)}


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> str:
    """Small pictures, each with a text in both languages."""
    folder = write_pictures(tmp_path_factory.mktemp("pairs") / "pack", list(draw_clouds(PICTURES, 0)), HELD_OUT)
    write_pairs(folder)
    return folder


def write_pairs(folder: str, last: str = "last") -> None:
    texts = [(f"cloud {at} of {at % 7} kinds", f"第{at}朵云") for at in range(PICTURES - 1)] + [(last, last)]
    pairs = [
        Pair(f"s3://images/{at}", text, own)
        for at, two in enumerate(texts)
        for text, own in zip(two, ("en", "zh"), strict=True)
    ]
    write_texts(ObjectStore(load_settings()), folder, pairs)


def options(pack: str, method: str, **more) -> PairOptions:
    return PairOptions(pack, method, str(STARTS[method]), **{"epochs": 3, "batch_size": 20} | more)


def run(chosen: PairOptions, out: Path, **more):
    return running.train_pairs(chosen, f"{out}/", load_settings(), "cpu", **more)


def ended_after(patch, steps: int, error: type[BaseException] | None = None) -> None:
    """Let a training be told to stop after so many steps, or be ended there."""
    told = Meter.tell

    def tell(self, progress, **more):
        told(self, progress, **more)
        if progress.step == steps:
            if error:
                raise error
            os.kill(os.getpid(), signal.SIGTERM)

    patch.setattr(Meter, "tell", tell)


@pytest.fixture
def checkpoints_kept(monkeypatch):
    """Checkpoints stay, so that the weights of a model that is refused can be compared."""
    monkeypatch.setattr(running, "CHECKPOINT", "none")


@pytest.mark.parametrize(("method", "error"), [("text", KeyboardInterrupt), ("pairs", None)])
@pytest.mark.usefixtures("checkpoints_kept")
def test_one_that_was_ended_goes_on_to_the_same_weights(pack, tmp_path, monkeypatch, method, error):
    chosen = options(pack, method, checkpoint_every=1, negatives="things" if method == "pairs" else None)
    given = {"find_negatives": lambda: NEGATIVES} if chosen.negatives else {}
    assert run(chosen, tmp_path / "unbroken", **given).finished
    with monkeypatch.context() as patch:
        ended_after(patch, 5, error)
        if error:
            with pytest.raises(error):
                run(chosen, tmp_path / "broken", **given)
        else:
            assert not run(chosen, tmp_path / "broken", **given).finished
    assert running.resume_pairs(f"{tmp_path}/broken/", load_settings(), "cpu").finished
    for name in ("losses.json", "gate.json", *(["text_side.safetensors"] if method == "text" else [])):
        one, other = ((tmp_path / which / name).read_bytes() for which in ("unbroken", "broken"))
        assert one == other, name
    one, other = (torch.load(tmp_path / which / "checkpoint.pt")["weights"] for which in ("unbroken", "broken"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    record = json.loads((tmp_path / "broken" / "training.json").read_text())
    assert (record["state"], record["figures"]["steps"]) == ("finished", 9)
    assert not (tmp_path / "broken" / "negatives.json").exists()


def test_the_command_ends_with_its_status_goes_on_and_does_nothing_when_it_is_finished(
    pack, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    given = ["training", "pairs", pack, str(out), "--start", str(VISION), "--epochs", "2", "--batch-size", "20"]
    with monkeypatch.context() as patch:
        ended_after(patch, 2)
        assert main([*given, "--resume"]) == TERMINATED
    assert json.loads(capsys.readouterr().out)["finished"] is False
    assert json.loads((out / "training.json").read_text())["state"] == "stopped"
    for changed, told in (
        ([*given, "--resume", "--seed", "1"], "other settings: seed is 0 there, and 1 here"),
        (given, "holds this training: `image-retrieval training resume"),
    ):
        assert main(changed) == 2
        assert told in capsys.readouterr().err
    assert main(["training", "resume", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert main([*given, "--resume"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert {name: again[name] for name in ("steps", "decision", "after")} == {
        "steps": 6, "decision": "undecided", "after": found["after"]
    }  # fmt: skip
    assert main(["training", "resume", str(out)]) == 2
    assert "is finished: undecided" in capsys.readouterr().err


def test_a_resumed_one_that_is_refused_ends_as_the_command_that_began_it(pack, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "out")
    given = ["training", "pairs", pack, out, "--start", str(DUAL), "--epochs", "2", "--batch-size", "20", "--lr", "10"]
    with monkeypatch.context() as patch:
        ended_after(patch, 2)
        assert main(given) == TERMINATED
    capsys.readouterr()
    assert main(["training", "resume", out]) == 1
    assert json.loads(capsys.readouterr().out)["decision"] == "refused"
    assert main([*given, "--resume"]) == 1


def test_other_texts_another_checkpoint_or_another_process_are_told(pack, tmp_path, monkeypatch):
    store, out = ObjectStore(load_settings()), tmp_path / "b"
    for name, seed in (("a", 0), ("b", 1)):
        with monkeypatch.context() as patch:
            ended_after(patch, 1)
            run(options(pack, "text", seed=seed), tmp_path / name)
    own = (out / "checkpoint.pt").read_bytes()
    (tmp_path / "a" / "checkpoint.pt").replace(out / "checkpoint.pt")
    with pytest.raises(UserError, match=r"checkpoint of .*/b/ is one of other settings, pictures or texts"):
        running.resume_pairs(f"{out}/", load_settings(), "cpu")
    (out / "checkpoint.pt").write_bytes(own)
    write_pairs(pack, "another")
    with pytest.raises(UserError, match="holds other pictures or texts than the training in"):
        running.resume_pairs(f"{out}/", load_settings(), "cpu")
    write_pairs(pack)

    told = Meter.tell

    def tell(self, progress, **more):
        told(self, progress, **more)
        if progress.step == 2:
            update_record(store, f"{tmp_path}/c/", token="another")

    monkeypatch.setattr(Meter, "tell", tell)
    with pytest.raises(UserError, match="another process goes on with the training in"):
        run(options(pack, "text"), tmp_path / "c")
    assert not (tmp_path / "c" / "checkpoint.pt").exists()


def test_a_loss_that_is_no_number_stops_it(pack, tmp_path):
    with pytest.raises(UserError, match="the loss is no number: lower --lr"):
        run(options(pack, "text", rate=1e30), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "training.json").read_text())["state"] == "collapsed"
    assert np.array_equal([path.name for path in (tmp_path / "out").iterdir()], ["training.json"])


def test_one_that_was_refused_may_begin_with_other_settings(pack, tmp_path):
    store, out = ObjectStore(load_settings()), f"{tmp_path}/out/"
    begin_record(store, out, options(pack, "text"))
    update_record(store, out, state="finished", figures={"decision": "passed"})
    with pytest.raises(UserError, match="other settings: seed is 0 there, and 1 here"):
        begun(store, out, options(pack, "text", seed=1), resume=False)
    update_record(store, out, figures={"decision": "refused"})
    assert begun(store, out, options(pack, "text", seed=1), resume=False) is None
    assert begun(store, out, options(pack, "text"), resume=True)["state"] == "finished"


def test_a_start_of_another_kind_and_several_processes_are_refused(pack, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is of type 'chinese_clip': method pairs is for it"):
        run(PairOptions(pack, "text", str(DUAL)), tmp_path / "out")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="is one process: run it on one machine, with one GPU"):
        run(options(pack, "text"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
