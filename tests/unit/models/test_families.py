"""Each family's vectors are those that transformers' own processor and model make of the same pixels."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image

from image_retrieval.models.description import FAMILIES as DESCRIBED
from image_retrieval.models.description import describe
from image_retrieval.models.towers import ImageTower, load_image_tower
from unit.models.families import FAMILIES, SIDE, TRANSFORMERS, save

NOISE = torch.randint(0, 256, (SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
PIXELS = torch.stack([NOISE, NOISE // 4, 255 - NOISE // 16])
PICTURES = [Image.fromarray(picture.numpy()) for picture in PIXELS]
SAME_SIZE: dict[str, Any] = {"do_resize": False, "do_center_crop": False, "return_tensors": "pt"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in FAMILIES:
        save(name, root / name)
    return root


def tower(folder: Path, *, use_cls_token: bool = True) -> ImageTower:
    return load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=use_cls_token)


def output(folder: Path) -> Any:
    """What transformers itself makes of the same pictures."""
    processor = FAMILIES[folder.name].processor()
    model = transformers.AutoModel.from_pretrained(folder).eval()
    call = getattr(model, "get_image_features", model)
    with torch.inference_mode():
        return call(**processor(PICTURES, **SAME_SIZE))


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


def test_every_family_that_is_described_is_held_to_transformers():
    own = {"efficientnet_lite"}  # transformers has no class for it: test_efficientnet_lite.py
    assert set(FAMILIES) == set(DESCRIBED) - own


@pytest.mark.parametrize("name", FAMILIES)
def test_vectors_are_those_of_transformers(folder, name):
    found = tower(folder / name)
    wanted = output(folder / name)
    wanted = wanted.last_hidden_state[:, 0] if name in TRANSFORMERS else wanted.pooler_output.flatten(1)
    vectors = found.embed(PIXELS)
    assert likeness(vectors, wanted) >= 0.9999
    assert likeness(vectors[:1], vectors[1:2]) < 0.999
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    assert (vectors.dtype, vectors.shape) == (torch.float32, (3, found.dimensions))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_without_the_class_token_the_patches_are_averaged_and_no_register(folder, name):
    wanted = output(folder / name).last_hidden_state[:, -((SIDE // 8) ** 2) :].mean(dim=1)
    assert likeness(tower(folder / name, use_cls_token=False).embed(PIXELS), wanted) >= 0.9999


@pytest.mark.parametrize("name", FAMILIES)
def test_the_description_tells_length_and_size_without_weights(folder, name):
    found = describe(folder / name)
    assert (found.dimensions, found.size) == (FAMILIES[name].dimensions, (SIDE, SIDE))
    assert (tower(folder / name).dimensions, tower(folder / name).size) == (found.dimensions, found.size)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_compiles_as_one_graph(folder, name):
    found = tower(folder / name)
    torch.compiler.reset()
    compiled = torch.compile(found.network, backend="eager", fullgraph=True)
    with torch.inference_mode():
        assert likeness(compiled(PIXELS), found.network(PIXELS)) >= 0.9999


@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_need_not_be_square_or_of_the_trained_size(folder, name):
    vectors = tower(folder / name).embed(torch.stack([NOISE.repeat(2, 3, 1)] * 2))
    assert vectors.shape == (2, FAMILIES[name].dimensions)
    assert torch.isfinite(vectors).all()
