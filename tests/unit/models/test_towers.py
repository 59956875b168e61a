import json
from pathlib import Path

import pytest
import torch
from random_weights import save_random_dinov2
from safetensors.torch import load_file, save_file

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower, image_tower, load_image_tower
from image_retrieval.settings import Settings
from unit.models.families import SIDE, save

NOISE = torch.randint(0, 256, (SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PIXELS = torch.stack([NOISE, NOISE // 4, 255 - NOISE // 16])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in ("vit", "dinov2", "clip"):
        save(name, root / name)
    return root


def tower(folder: Path, *, device: str = "cpu", dtype: str = "float32", use_cls_token: bool = True) -> ImageTower:
    return load_image_tower(folder, dtype=dtype, device=device, use_cls_token=use_cls_token)


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_close(folder, dtype):
    full, half = tower(folder / "dinov2").embed(PIXELS), tower(folder / "dinov2", dtype=dtype).embed(PIXELS)
    assert half.dtype == torch.float32
    assert likeness(full, half) >= 0.99


def test_one_vector_does_not_depend_on_its_batch(folder):
    found = tower(folder / "vit")
    alone = torch.cat([found.embed(picture) for picture in PIXELS.split(1)])
    assert torch.allclose(found.embed(PIXELS), alone, atol=1e-5)


@pytest.mark.parametrize("device", ["tpu", "", "cuda:x", "cuda:99", "99"])
def test_a_device_that_cannot_be_used_is_told(folder, device):
    with pytest.raises(UserError, match=f"^device '{device}' cannot be used [^\n]*: cpu, cuda or a rank$"):
        tower(folder / "vit", device=device)


def changed(folder: Path, target: Path, weights: bytes | None) -> Path:
    """A copy of a model's folder with other weights, or with none."""
    target.mkdir()
    (target / "config.json").write_bytes((folder / "config.json").read_bytes())
    if weights is not None:
        (target / "model.safetensors").write_bytes(weights)
    return target


def test_pickled_weights_are_never_loaded(folder, tmp_path):
    target = changed(folder / "vit", tmp_path / "vit", None)
    torch.save(load_file(folder / "vit" / "model.safetensors"), target / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"does not load: [^\n]*safetensors"):
        tower(target)


@pytest.mark.parametrize("weights", [b"", b"no weights at all", b"\0" * 100], ids=["empty", "text", "zeros"])
def test_broken_weights_are_told(folder, tmp_path, weights):
    with pytest.raises(UserError, match="does not load"):
        tower(changed(folder / "vit", tmp_path / "vit", weights))


def test_cut_weights_are_told(folder, tmp_path):
    weights = (folder / "vit" / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="does not load"):
        tower(changed(folder / "vit", tmp_path / "vit", weights[: len(weights) // 2]))


def test_weights_of_another_shape_are_told(folder, tmp_path):
    weights = (folder / "vit" / "model.safetensors").read_bytes()
    target = changed(folder / "vit", tmp_path / "vit", weights)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    with pytest.raises(UserError, match="does not load"):
        tower(target)


def test_weights_that_lack_a_layer_are_told(folder, tmp_path):
    weights = load_file(folder / "vit" / "model.safetensors")
    kept = {name: values for name, values in weights.items() if "layer.0" not in name and "layers.0" not in name}
    assert len(kept) < len(weights)
    target = changed(folder / "vit", tmp_path / "vit", None)
    save_file(kept, target / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="does not load"):
        tower(target)


def test_code_that_comes_with_a_model_is_never_run(folder, tmp_path):
    target = changed(folder / "vit", tmp_path / "vit", (folder / "vit" / "model.safetensors").read_bytes())
    (target / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    names = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "auto_map": names}))
    assert tower(target).embed(PIXELS).shape == (3, 32)
    assert not (tmp_path / "ran").exists()


def test_each_side_of_a_dual_encoder_loads_without_the_other(folder, tmp_path):
    weights = load_file(folder / "clip" / "model.safetensors")
    kept = {name: values for name, values in weights.items() if not name.startswith("text_")}
    assert len(kept) < len(weights)
    target = changed(folder / "clip", tmp_path / "clip", None)
    save_file(kept, target / "model.safetensors", metadata={"format": "pt"})
    found = tower(target)
    assert not [name for name, _ in found.network.named_parameters() if "text_" in name]
    assert found.embed(PIXELS).shape == (3, 16)


def test_weights_without_the_pooler_that_nobody_reads_are_loaded(folder, tmp_path):
    weights = load_file(folder / "vit" / "model.safetensors")
    target = changed(folder / "vit", tmp_path / "vit", None)
    kept = {name: values for name, values in weights.items() if not name.startswith("pooler")}
    save_file(kept, target / "model.safetensors", metadata={"format": "pt"})
    assert len(kept) < len(weights)
    assert tower(target).embed(PIXELS).shape == (3, 32)


def test_a_model_is_loaded_once_a_process(folder):
    options = ModelOptions(name="tiny", source=str(folder / "vit"))
    first = image_tower(options, Settings(), "cpu")
    assert image_tower(options, Settings(), "cpu") is first
    assert image_tower(options.model_copy(update={"use_cls_token": False}), Settings(), "cpu") is not first


def test_random_weights_are_the_same_from_the_same_seed(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        save_random_dinov2(tmp_path / name, seed)
    first, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == same
    assert first != other
    assert tower(tmp_path / "a").dimensions == 192
