"""Exported towers give the vectors that torch gives, in any number of pictures and texts."""

import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from image_retrieval.cli import main
from image_retrieval.embedding.backends import onnx_network
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import MISTAKE
from image_retrieval.models.onnx import export_images, export_texts
from image_retrieval.models.towers import ImageTower, load_image_tower, load_text_tower
from unit.models import test_efficientnet_lite
from unit.models.families import DUAL_ENCODERS, FAMILIES, SIDE, save
from unit.models.vocabularies import VOCABULARIES

EACH = [pytest.param(name, marks=() if name == "vit" else pytest.mark.slow) for name in FAMILIES]
efficientnet = test_efficientnet_lite.folder  # its tiny network
TEXTS = ["a", "a red circle", "two stars and a square", "红色的圆"]


def pictures(count: int, width: int = SIDE, height: int = SIDE) -> torch.Tensor:
    rng = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=rng)


def session(file: Path) -> Any:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def tower(folder: Path) -> ImageTower:
    return load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)


def least_cosine(found: Any, wanted: torch.Tensor) -> float:
    assert tuple(found.shape) == tuple(wanted.shape)
    return float(torch.nn.functional.cosine_similarity(torch.as_tensor(found), wanted).min())


def hold(found: ImageTower, folder: Path, width: int, height: int) -> None:
    running = session(export_images(found, folder, (width, height)))
    for count in (1, 2, 5):
        pixels = pictures(count, width, height)
        (vectors,) = running.run(["vectors"], {"pixels": pixels.numpy()})
        assert least_cosine(vectors, found.embed(pixels)) >= 0.9999


@pytest.mark.parametrize("name", EACH)
def test_an_exported_image_tower_agrees_with_torch(tmp_path, name):
    hold(tower(save(name, tmp_path / name)), tmp_path / "out", SIDE, SIDE)


def test_so_does_that_of_efficientnet_lite(efficientnet, tmp_path):
    hold(tower(efficientnet), tmp_path / "out", 9, 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_an_exported_text_tower_agrees_with_torch(tmp_path, name):
    folder = save(name, tmp_path / name)
    VOCABULARIES[name](folder)
    texts = load_text_tower(folder, dtype="float32", device="cpu")
    running = session(export_texts(texts, tmp_path / "out"))
    for some in (TEXTS[:1], TEXTS):
        given = {key: values.numpy() for key, values in texts.tokens(some).items()}
        assert least_cosine(running.run(["vectors"], given)[0], texts.embed(some)) >= 0.9999


def test_a_model_is_written_with_one_command(random_model, tmp_path, capsys):
    target = tmp_path / "a" / "b"
    target.mkdir(parents=True)
    (target / "texts.onnx").touch()  # of another model
    assert main(["models", "export", "--onnx", str(random_model), str(target), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [str(target / "images.onnx")]}
    assert [path.name for path in target.iterdir()] == ["images.onnx"]
    pixels = pictures(3, 224, 224)
    (vectors,) = session(target / "images.onnx").run(None, {"pixels": pixels.numpy()})
    assert least_cosine(vectors, tower(random_model).embed(pixels)) >= 0.9999


def test_what_cannot_be_exported_is_told_in_one_line(random_model, tmp_path, capsys):
    (tmp_path / "file").touch()
    for source, target, words in [
        (str(tmp_path / "no_such_model"), tmp_path / "out", "does not exist"),
        (str(random_model), tmp_path / "file", "cannot be written"),
        (str(random_model), tmp_path / "file" / "below", "cannot be written"),
    ]:
        assert main(["models", "export", "--onnx", source, str(target)]) == MISTAKE
        said = capsys.readouterr().err.strip()
        assert words in said
        assert "\n" not in said


@pytest.mark.parametrize("missing", [("onnxscript",), ("onnx", "onnxscript")])
def test_packages_that_are_missing_are_named(random_model, tmp_path, monkeypatch, missing):
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed
    found = tower(random_model)
    with pytest.raises(UserError, match=f"not installed: pip install {' '.join(missing)}$"):
        export_images(found, tmp_path)
    with pytest.raises(UserError, match=r"backend 'onnx' needs [^\n]* not installed: pip install "):
        onnx_network(found, "float32")
    assert not list(tmp_path.glob("*.onnx*"))


def test_what_onnx_runtime_raises_the_engine_knows(tmp_path):
    network = onnx_network(tower(save("vit", tmp_path / "model")), "float32")
    with pytest.raises(RuntimeError, match="Unexpected input data type"):
        network(pictures(1).float())
