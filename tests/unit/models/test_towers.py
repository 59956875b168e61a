import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from random_weights import save_random_dinov2
from safetensors.torch import load_file, save_file

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower, image_tower, load_image_tower
from image_retrieval.settings import Settings

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.4]
SIZE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
VISION = {**SIZE, "intermediate_size": 64, "image_size": 28, "patch_size": 14}
TEXT = {**SIZE, "intermediate_size": 64, "vocab_size": 50, "max_position_embeddings": 16}
DUAL = {"vision_config": VISION, "text_config": TEXT, "projection_dim": 16}
DINO = {**SIZE, "image_size": 28, "patch_size": 14}
CONFIGS = {
    "vit": transformers.ViTConfig(**VISION),
    "dinov2": transformers.Dinov2Config(**DINO),
    "dinov2_with_registers": transformers.Dinov2WithRegistersConfig(**DINO, num_register_tokens=4),
    "clip": transformers.CLIPConfig(**DUAL),
    "chinese_clip": transformers.ChineseCLIPConfig(**DUAL),
}
TRANSFORMERS = ("vit", "dinov2", "dinov2_with_registers")
TOKENS_BEFORE_PATCHES = {"vit": 1, "dinov2": 1, "dinov2_with_registers": 5}
NOISE = torch.randint(0, 256, (28, 28, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PIXELS = torch.stack([NOISE, NOISE // 4, 255 - NOISE // 16])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder per model, with seeded random weights that tell pictures apart."""
    root = tmp_path_factory.mktemp("models")
    for name, config in CONFIGS.items():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = transformers.AutoModel.from_config(config)
            for weights in model.parameters():
                torch.nn.init.normal_(weights, std=0.2)
        model.save_pretrained(root / name)
        (root / name / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    return root


def tower(folder: Path, *, device: str = "cpu", dtype: str = "float32", use_cls_token: bool = True) -> ImageTower:
    return load_image_tower(folder, dtype=dtype, device=device, use_cls_token=use_cls_token)


def output(folder: Path, **options: Any) -> Any:
    """What transformers itself makes of the same pixels."""
    model = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = (PIXELS.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    call = getattr(model, "get_image_features", model)
    with torch.inference_mode():
        return call(pixel_values=pixels, **options)


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


@pytest.mark.parametrize("name", CONFIGS)
def test_vectors_have_length_1_and_the_dimensions_that_were_told(folder, name):
    found = tower(folder / name)
    vectors = found.embed(PIXELS)
    assert found.dimensions == (32 if name in TRANSFORMERS else 16)
    assert vectors.shape == (3, found.dimensions)
    assert vectors.dtype == torch.float32
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    assert likeness(vectors[:1], vectors[1:2]) < 0.999


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_vision_transformer_gives_its_class_token(folder, name):
    wanted = output(folder / name).last_hidden_state[:, 0]
    assert likeness(tower(folder / name).embed(PIXELS), wanted) >= 0.9999


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_without_the_class_token_the_patches_are_averaged_and_no_register(folder, name):
    wanted = output(folder / name).last_hidden_state[:, TOKENS_BEFORE_PATCHES[name] :].mean(dim=1)
    assert wanted.shape == (3, 32)
    assert likeness(tower(folder / name, use_cls_token=False).embed(PIXELS), wanted) >= 0.9999


@pytest.mark.parametrize("name", ["clip", "chinese_clip"])
@pytest.mark.parametrize("use_cls_token", [True, False])
def test_a_dual_encoder_gives_its_image_features(folder, name, use_cls_token):
    wanted = output(folder / name).pooler_output
    assert wanted.shape == (3, 16)
    assert likeness(tower(folder / name, use_cls_token=use_cls_token).embed(PIXELS), wanted) >= 0.9999


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_close(folder, dtype):
    full, half = tower(folder / "dinov2").embed(PIXELS), tower(folder / "dinov2", dtype=dtype).embed(PIXELS)
    assert half.dtype == torch.float32
    assert likeness(full, half) >= 0.99


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_vision_transformer_reads_pictures_of_another_size(folder, name):
    pixels = torch.zeros((2, 56, 42, 3), dtype=torch.uint8)
    assert tower(folder / name).embed(pixels).shape == (2, 32)


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
