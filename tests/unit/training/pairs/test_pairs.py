"""Whole trainings on pairs, by the command that people type: what becomes of each start, and what is refused."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from image_retrieval.cli import main
from image_retrieval.models.description import describe
from image_retrieval.models.digest import digest_of
from image_retrieval.models.loading import load_model
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.scenes.captions import describe as put_into_words
from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import lay_out
from image_retrieval.training.pairs.fine_tuning import attention_weights
from unit.models.families import DUAL_ENCODERS, save

SCENES = 100
QUICK = ["--epochs", "1", "--batch-size", "32", "--held-out", "0.2"]


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn scenes with a caption in both languages, as a TSV file."""
    folder, lines = tmp_path_factory.mktemp("scenes"), []
    for number in range(SCENES):
        layout, rng = lay_out(number, 5), random.Random(number)
        path = folder / f"{number}.png"
        draw(layout, rng, 0.3).save(path)
        caption = put_into_words(layout, "full", rng)
        lines += [f"{path}\t{caption.english}\ten", f"{path}\t{caption.chinese}"]
    (folder / "pairs.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "pairs.tsv"


def train(capsys, *arguments) -> tuple[int, dict]:
    status = main(["training", "pairs", *map(str, arguments)])
    printed = capsys.readouterr()
    assert status in (0, 1), printed.err
    return status, json.loads(printed.out) | {"warned": "few distinct texts" in printed.err}


def test_a_model_of_pictures_gets_a_text_side_and_keeps_its_vectors(listed, tmp_path, capsys):
    out = tmp_path / "out"
    status, found = train(capsys, listed, out, "--start", VISION, *QUICK, "--epochs", "4")
    assert status == 0
    assert found["learnt"] + found["held_out"] <= SCENES
    assert found["loss_last"] < found["loss_first"]
    assert found["decision"] == "undecided"  # of so few pictures
    assert set(found["after"]["all"]) == {"en", "zh"}
    assert found["after"]["all"]["zh"]["text_to_image"]["among"] == found["learnt"] + found["held_out"]
    assert digest_of(out) == digest_of(VISION)
    assert describe(out).family == "dual_encoder"
    texts = load_text_tower(out, dtype="float32", device="cpu").embed(["two red circles", "两个红色的圆"])
    assert texts.shape == (2, describe(VISION).dimensions)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| zh | texts find pictures |" in card
    assert json.loads((out / "training.json").read_text())["figures"]["kind"] == "text_side"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.pack"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_text_side(listed, tmp_path, capsys):
    for name in "ab":
        train(capsys, listed, tmp_path / name, "--start", VISION, *QUICK)
    first, second = ((tmp_path / name / "text_side.safetensors").read_bytes() for name in "ab")
    assert first == second


def test_a_dual_encoder_is_fine_tuned_or_refused(listed, tmp_path, capsys):
    out = tmp_path / "out"
    status, found = train(capsys, listed, out, "--start", DUAL, "--general", listed, *QUICK, "--lr", "1e-5")
    assert (status == 0) == (found["decision"] != "refused") == (out / "config.json").exists()
    assert found["warned"]  # of 80 pictures with two texts each
    assert list(found["sweep"]) == ["0.0", "0.25", "0.5", "0.75", "1.0"]
    assert found["before"]["general"]["en"]["text_to_image"]["found"]["R@10"] > 0.9  # each scene is in the general set
    out, given = tmp_path / "other", ("--start", DUAL, "--general", listed, *QUICK, "--lr", "10")
    status, found = train(capsys, listed, out, *given)
    assert (status, found["decision"], (out / "config.json").exists()) == (1, "refused", False)
    assert (out / "gate.md").read_text(encoding="utf-8").startswith("# Refused\n\nEvery mean loses more than a point")
    assert train(capsys, listed, out, *given, "--resume")[0] == 1  # it is finished
    assert train(capsys, listed, out, *given, "--resume", "--exit-zero")[0] == 0


def test_a_better_one_is_saved_as_it_was_judged(listed, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("image_retrieval.training.pairs.mean_of_weights.ALPHAS", (1.0,))
    monkeypatch.setattr("image_retrieval.training.pairs.tuning.choose", lambda found: Always(found))
    out = tmp_path / "out"
    status, found = train(capsys, listed, out, "--start", DUAL, "--text-only", *QUICK, "--lr", "0.05")
    assert (status, found["alpha"], found["warned"]) == (0, 1.0, False)
    noise = torch.randint(0, 256, (2, 112, 112, 3), dtype=torch.uint8)
    one, other = (load_image_tower(each, dtype="float32", device="cpu", use_cls_token=True) for each in (DUAL, out))
    assert torch.equal(one.embed(noise), other.embed(noise))  # the text side alone was changed
    words = ["two red circles", "两个红色的圆"]
    one, other = (load_text_tower(each, dtype="float32", device="cpu") for each in (DUAL, out))
    likeness = (one.embed(words) * other.embed(words)).sum(dim=1)
    assert 0.5 < float(likeness.min()) < float(likeness.max()) < 0.99999
    assert "# A fine-tuned dual encoder" in (out / "README.md").read_text(encoding="utf-8")


class Always:
    """The last mean, whatever it is worth."""

    def __init__(self, found: dict) -> None:
        self.alpha, self.reason = max(found), "as it is"


@pytest.mark.parametrize("kind", DUAL_ENCODERS)
def test_matrices_are_found_in_both_towers_of_each_family(kind, tmp_path):
    names = attention_weights(load_model(save(kind, tmp_path / kind), torch.float32))
    layers = AutoModel.from_pretrained(tmp_path / kind).config
    for tower, config in (("text_model", layers.text_config), ("vision_model", layers.vision_config)):
        assert len([name for name in names if name.startswith(tower)]) >= 4 * config.num_hidden_layers


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{listed}", "{out}", "--start", "{vision}", "--text-only"], "--text-only is for dual encoders"),
        (["{listed}", "{out}", "--start", "{vision}", "--general", "x"], "--general is for dual encoders"),
        (["{listed}", "{out}", "--start", "{vision}", "--held-out", "0"], "--held-out 0: a share above 0"),
        (["{listed}", "{out}", "--start", "{vision}", "--lr", "0"], "--lr: 0 is not a rate above 0"),
        (["{out}/no.tsv", "{out}", "--start", "{vision}"], "does not exist: give a TSV or JSONL file"),
        (["{few}", "{out}", "--start", "{vision}"], "pictures with a text to learn from: at least 64 are needed"),
        (["{out}", "{out}", "--start", "{vision}"], "holds no complete training set"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments, told, listed, tmp_path, capsys):
    few = tmp_path / "few.tsv"
    few.write_text("\n".join(listed.read_text(encoding="utf-8").split("\n")[:20]), encoding="utf-8")
    places = {"listed": listed, "few": few, "out": tmp_path / "out", "vision": VISION}
    assert main(["training", "pairs", *(given.format(**places) for given in arguments)]) == 2
    printed = capsys.readouterr().err.strip().split("\n")[-1]
    assert printed.startswith("image-retrieval: ")
    assert told in printed
    assert not (tmp_path / "out").exists()


def test_a_new_folder_is_needed(listed, tmp_path, capsys):
    (tmp_path / "kept").write_text("")
    assert main(["training", "pairs", str(listed), str(tmp_path), "--start", str(VISION), *QUICK]) == 2
    assert "is not empty: it holds 'kept'; give a new folder" in capsys.readouterr().err
    assert np.array_equal([path.name for path in tmp_path.iterdir()], ["kept"])
