"""Whole trainings of tiny models: what they leave behind, how they go on, and what they refuse."""

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from packs import write_pictures

from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.models.towers import load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import load_settings
from image_retrieval.training import running
from image_retrieval.training.loop import Collapsed, Outcome
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.progress import Meter
from image_retrieval.training.records import update_record

WAYS = [("moco", "vit"), ("moco", "resnet"), ("moby", "swin"), ("swav", "resnet"), ("continue", "vit"),
        ("continue", "resnet")]  # fmt: skip

FLAT = [np.full((8, 8, 3), 100 + number % 3, np.uint8) for number in range(70)]
SPECKLED = list(np.random.default_rng(0).integers(0, 256, (70, 8, 8, 3), np.uint8))


@pytest.fixture
def options(pack, tiny) -> Callable[..., TrainingOptions]:
    def made(method: str, kind: str, **more) -> TrainingOptions:
        how = {"epochs": 2, "batch_size": 32, "readers": 2, "checkpoint_every": 1} | more
        return TrainingOptions(pack, method, str(tiny(kind)), **how)

    return made


def run(options: TrainingOptions, out: Path) -> Outcome:
    return running.run_training(options, out, load_settings(), "cpu")


def vectors(folder: Path) -> torch.Tensor:
    tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    pixels = torch.randint(0, 256, (4, *tower.size, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return tower.embed(pixels)


def ended_after(monkeypatch, steps: int, error: type[BaseException] | None = None) -> None:
    """Let a training be told to stop after so many steps, or end with an error there."""
    told = Meter.tell

    def tell(self, progress, **more):
        told(self, progress, **more)
        if progress.step == steps:
            if error:
                raise error
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Meter, "tell", tell)


@pytest.mark.parametrize(("method", "kind"), WAYS)
def test_a_trained_model_loads_and_embeds(options, tiny, tmp_path, method, kind):
    out = tmp_path / "out"
    outcome = run(options(method, kind), out)
    assert outcome.finished
    assert outcome.figures["steps"] == 6
    card = (out / "README.md").read_text()
    scored = set() if "| Score | not fitted: altered copies" in card else {"calibration.json"}
    assert {path.name for path in out.iterdir()} == scored | {
        "README.md", "config.json", "losses.json", "model.safetensors", "preprocessor_config.json", "training.json"
    }  # fmt: skip
    found, start = vectors(out), vectors(tiny(kind))
    assert found.shape == (4, 32)
    assert not torch.allclose(found, start, atol=1e-4)
    record = json.loads((out / "training.json").read_text())
    assert record["state"] == "finished"
    assert record["data"]["learnt"] == 96
    losses = json.loads((out / "losses.json").read_text())
    assert [point["step"] for point in losses] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(point["loss"]) for point in losses)


@pytest.mark.parametrize(
    ("method", "kind", "error"),
    [*((method, kind, None) for method, kind in WAYS[:5]), ("moco", "resnet", KeyboardInterrupt)],
)
def test_a_training_that_was_ended_goes_on_to_the_same_weights(options, tmp_path, monkeypatch, method, kind, error):
    chosen = options(method, kind, accumulate=2)
    run(chosen, tmp_path / "unbroken")
    with monkeypatch.context() as patch:
        ended_after(patch, 4, error)
        if error:
            with pytest.raises(error):
                run(chosen, tmp_path / "broken")
        else:
            assert not run(chosen, tmp_path / "broken").finished
    torch.manual_seed(123)  # whatever was drawn meanwhile does not count
    assert running.resume_training(tmp_path / "broken", load_settings(), "cpu").finished
    for name in ("model.safetensors", "losses.json"):
        one, other = ((tmp_path / which / name).read_bytes() for which in ("unbroken", "broken"))
        assert one == other, name


def test_the_command_ends_with_its_status_and_goes_on(pack, tiny, tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "out")
    with monkeypatch.context() as patch:
        ended_after(patch, 2)
        given = ["--start", str(tiny("vit")), "--epochs", "2", "--batch-size", "32"]
        assert main(["training", "run", pack, out, *given]) == TERMINATED
    assert json.loads(capsys.readouterr().out)["finished"] is False
    assert main(["training", "resume", out]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 6
    assert main(["training", "resume", out]) == 2
    assert "is finished" in capsys.readouterr().err


def test_another_seed_gives_other_weights(options, tmp_path):
    for seed in (0, 1):
        run(options("continue", "vit", epochs=1, seed=seed), tmp_path / str(seed))
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "01")
    assert one != other


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_and_is_saved(options, tmp_path, precision):
    chosen = options("continue", "vit", precision=precision, half=True, gradient_checkpointing=True)
    outcome = run(chosen, tmp_path / "out")
    assert np.isfinite(outcome.figures["loss_last"])
    assert vectors(tmp_path / "out").isfinite().all()
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float16"


def test_gradient_checkpointing_changes_no_weight(options, tmp_path):
    for name, checkpointing in (("a", False), ("b", True)):
        run(options("moby", "vit", epochs=1, gradient_checkpointing=checkpointing), tmp_path / name)
    assert torch.allclose(vectors(tmp_path / "a"), vectors(tmp_path / "b"), atol=1e-5)


def test_a_crop_of_another_side_is_the_models_size(options, tmp_path):
    run(options("continue", "resnet", epochs=1, crop=48), tmp_path / "out")
    assert load_image_tower(tmp_path / "out", dtype="float32", device="cpu", use_cls_token=True).size == (48, 48)


def test_a_start_from_nothing(pack, tmp_path):
    chosen = TrainingOptions(pack, "moco", "random", backbone="vit_mini", crop=28, epochs=1, batch_size=48)
    run(chosen, tmp_path / "out")
    assert vectors(tmp_path / "out").shape == (4, 128)


@pytest.mark.parametrize(
    ("method", "kind", "rate", "told"),
    [
        ("moco", "vit", 1e4, "the loss is no number"),
        ("continue", "resnet", 10.0, "the vectors of all pictures become one"),
        ("continue", "resnet", 1e30, "the loss is no number"),
    ],
)
def test_a_training_that_goes_astray_is_stopped(options, tmp_path, method, kind, rate, told):
    with pytest.raises(Collapsed, match=f"stopped.*{told}.*--lr"):
        run(options(method, kind, rate=rate, epochs=8), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["state"] == "collapsed"
    assert told in record["reason"]
    assert not (tmp_path / "out" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--start", "random"], "--method continue goes on from a checkpoint"),
        (["--start", "VIT", "--backbone", "vit_tiny"], "--backbone goes with --start random"),
        (["--start", "RESNET", "--method", "moby"], "--method moby is for vision transformers and Swin"),
        (["--start", "RESNET", "--gradient-checkpointing"], "'resnet' cannot do it"),
        (["--start", "VIT", "--batch-size", "97"], "--batch-size 97 is more"),
        (["--start", "VIT", "--batch-size", "33", "--accumulate", "2"], "does not divide into 2 parts"),
        (["--start", "VIT", "--lr", "0"], "--lr: 0 is not a rate above 0"),
        (["--start", "VIT", "--crop", "8"], "--crop: '8' is not a number from 16"),
        (["--start", "s3:/nowhere"], "model 's3:/nowhere'"),
        (["--start", "DUAL"], "of type 'clip', a dual encoder"),
    ],
)
def test_mistakes_are_told_before_anything_starts(pack, tiny, tmp_path, capsys, arguments, told):
    dual = tmp_path / "dual"
    dual.mkdir()
    (dual / "config.json").write_text('{"model_type": "clip", "projection_dim": 8}')
    (dual / "model.safetensors").write_bytes(b"")
    folders = {"VIT": str(tiny("vit")), "RESNET": str(tiny("resnet")), "DUAL": str(dual)}
    out = tmp_path / "out"
    given = [folders.get(argument, argument) for argument in arguments]
    capsys.readouterr()
    assert main(["training", "run", pack, str(out), "--batch-size", "32", *given]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("pictures", "clusters", "told"),
    [
        (FLAT[:63], None, "63 pictures to learn from: training needs at least 64"),
        (FLAT, None, "all look alike: there is nothing to learn from them"),
        (SPECKLED, [5] * 70, "are of one group, which --method continue counts as one picture: use --method moco"),
        (None, None, "holds no complete training set"),
    ],
)
def test_packs_that_nothing_can_be_learnt_from_are_refused(tiny, tmp_path, capsys, pictures, clusters, told):
    folder, out = tmp_path / "pack", tmp_path / "out"
    if pictures is not None:
        write_pictures(folder, pictures, clusters=clusters)
    assert main(["training", "run", str(folder), str(out), "--start", str(tiny("vit"))]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_folder_of_another_training_is_left_alone(options, tmp_path):
    out = tmp_path / "out"
    run(options("continue", "vit", epochs=1), out)
    for chosen, told in (
        (options("continue", "vit", epochs=1), "holds this training.*`image-retrieval training resume"),
        (options("moco", "vit", epochs=1), "other settings: method is 'continue' there, and 'moco' here"),
        (options("continue", "vit", epochs=1, batch_size=16), "other settings: batch-size is 32 there, and 16 here"),
    ):
        with pytest.raises(UserError, match=told):
            run(chosen, out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    with pytest.raises(UserError, match="is not empty: it holds 'file'"):
        run(options("continue", "vit"), tmp_path / "full")
    (out / "training.json").write_text("[]")
    with pytest.raises(UserError, match="is not the record of a training"):
        run(options("continue", "vit"), out)


def test_what_was_begun_is_gone_on_with_once_and_collapsed_ones_are_not(options, tmp_path, monkeypatch):
    def again(rate: float | None = None, out: str = "out") -> Outcome:
        chosen = options("continue", "vit", rate=rate)
        return running.run_training(chosen, tmp_path / out, load_settings(), "cpu", resume=True)

    with monkeypatch.context() as patch:
        ended_after(patch, 4)
        assert not again().finished
    assert again().finished
    weights = (tmp_path / "out" / "model.safetensors").stat()
    with monkeypatch.context() as patch:
        patch.setattr(running, "train", None)
        assert again().figures["steps"] == 6
    assert (tmp_path / "out" / "model.safetensors").stat() == weights
    for _ in range(2):
        with pytest.raises(UserError, match="the loss is no number"):
            again(1e30, "astray")


def test_one_that_failed_before_its_first_checkpoint_may_begin_with_other_settings(options, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        ended_after(patch, 1, MemoryError)
        with pytest.raises(UserError, match=r"memory does not suffice for --batch-size 32.*--accumulate 2"):
            run(options("continue", "vit"), tmp_path / "out")
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["state"] == "failed"
    assert "memory" in record["reason"]
    assert run(options("continue", "vit", accumulate=2), tmp_path / "out").finished
    assert "reason" not in json.loads((tmp_path / "out" / "training.json").read_text())


def test_a_checkpoint_of_other_settings_is_refused(options, tmp_path, monkeypatch):
    for name, seed in (("a", 0), ("b", 1)):
        with monkeypatch.context() as patch:
            ended_after(patch, 1)
            run(options("continue", "vit", seed=seed), tmp_path / name)
    (tmp_path / "a" / "checkpoint.pt").replace(tmp_path / "b" / "checkpoint.pt")
    with pytest.raises(UserError, match=r"checkpoint of .*/b/ is one of other settings or pictures"):
        running.resume_training(tmp_path / "b", load_settings(), "cpu")


def test_another_pack_or_a_broken_checkpoint_is_refused(options, pack, tmp_path, monkeypatch):
    moved = tmp_path / "pack"
    pictures = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), np.uint8)
    write_pictures(moved, pictures)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        ended_after(patch, 1)
        run(replace(options("continue", "vit"), pack=f"{moved}/"), out)
    checkpoint = (out / "checkpoint.pt").read_bytes()
    (out / "checkpoint.pt").write_bytes(checkpoint[:1000])
    with pytest.raises(Exception, match="is not a checkpoint of a training"):
        running.resume_training(out, load_settings(), "cpu")
    (out / "checkpoint.pt").write_bytes(checkpoint)
    (moved / "index.parquet").unlink()
    write_pictures(tmp_path / "new", pictures[:70])
    (tmp_path / "new" / "index.parquet").rename(moved / "index.parquet")
    with pytest.raises(Exception, match="is not the pack that the training"):
        running.resume_training(out, load_settings(), "cpu")
    with pytest.raises(Exception, match="holds no training"):
        running.resume_training(tmp_path / "none", load_settings(), "cpu")


def test_a_process_that_another_one_has_replaced_ends_without_a_trace(options, tmp_path, monkeypatch):
    told = Meter.tell

    def tell(self, progress, **more):
        told(self, progress, **more)
        if progress.step == 2:
            update_record(ObjectStore(load_settings()), f"{tmp_path}/out/", token="another")

    monkeypatch.setattr(Meter, "tell", tell)
    with pytest.raises(UserError, match="another process goes on with the training in"):
        run(options("moco", "vit"), tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoint.pt").exists()
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (record["state"], record["token"], record.get("reason")) == ("running", "another", None)
