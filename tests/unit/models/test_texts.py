"""Text towers give what transformers' own tokenizers and models give."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models.towers import TextTower, load_image_tower, load_text_tower, text_tower
from image_retrieval.settings import Settings
from unit.models.families import DUAL_ENCODERS, FAMILIES, save
from unit.models.vocabularies import VOCABULARIES, gemma

TEXTS = ["a cat", "Two RED shoes on a mat", "一只红色的猫"]
# how each family's own documentation pads
PADDING: dict[str, Any] = {"clip": True, "chinese_clip": True, "siglip": "max_length", "siglip2": "max_length"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for name in DUAL_ENCODERS:
        save(name, root / name)
        VOCABULARIES[name](root / name)
    return root


def tower(folder: Path) -> TextTower:
    return load_text_tower(folder, dtype="float32", device="cpu")


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_vectors_are_those_of_transformers(folder, name):
    model = transformers.AutoModel.from_pretrained(folder / name).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / name)
    given = tokenizer(TEXTS, padding=PADDING[name], truncation=True, max_length=16, return_tensors="pt")
    with torch.inference_mode():
        wanted = model.get_text_features(**given)
    found = tower(folder / name)
    vectors = found.embed(TEXTS)
    assert likeness(vectors, wanted.pooler_output) >= 0.9999
    assert vectors.shape == (3, found.dimensions)
    assert found.dimensions == FAMILIES[name].dimensions
    assert torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    assert likeness(vectors[:1], vectors[1:2]) < 0.9999


def test_siglip_2_of_fixed_resolution_has_another_tokenizer(tmp_path):
    folder = save("siglip", tmp_path / "siglip")
    gemma(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.GemmaTokenizer.from_pretrained(folder)
    texts = ["a cat", "two red shoes"]
    given = tokenizer(texts, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    with torch.inference_mode():
        wanted = model.get_text_features(**given).pooler_output
    assert likeness(tower(folder).embed(["A cat", "Two RED shoes"]), wanted) >= 0.9999


@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_texts_and_images_share_a_space_and_a_digest(folder, name):
    images = load_image_tower(folder / name, dtype="float32", device="cpu", use_cls_token=True)
    assert (tower(folder / name).dimensions, tower(folder / name).digest) == (images.dimensions, images.digest)


@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_a_text_does_not_depend_on_those_beside_it(folder, name):
    found = tower(folder / name)
    alone = torch.cat([found.embed([text]) for text in TEXTS])
    assert torch.allclose(found.embed(TEXTS), alone, atol=1e-5)
    assert found.embed([]).shape == (0, found.dimensions)


@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_a_long_text_is_cut_and_an_empty_one_is_taken(folder, name):
    vectors = tower(folder / name).embed(["a cat " * 1000, ""])
    assert torch.isfinite(vectors).all()


@pytest.mark.parametrize("name", ["siglip", "siglip2"])
def test_siglip_reads_texts_in_lower_case(folder, name):
    found = tower(folder / name)
    assert torch.equal(found.embed(["A Cat"]), found.embed(["a cat"]))


@pytest.mark.parametrize("name", DUAL_ENCODERS)
def test_a_model_without_tokenizer_is_told(tmp_path, name):
    save(name, tmp_path / name)
    with pytest.raises(UserError, match=r"has no tokenizer: put its tokenizer\.json, [^\n]* beside its weights$"):
        tower(tmp_path / name)


def test_a_broken_tokenizer_is_told(tmp_path):
    folder = save("clip", tmp_path / "clip")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"^the tokenizer of model [^\n]* cannot be loaded: [^\n]+$"):
        tower(folder)


def test_a_model_without_text_side_is_told(tmp_path):
    with pytest.raises(UserError, match="of type 'vit' reads images only: searching by text needs a model with"):
        tower(save("vit", tmp_path / "vit"))


def test_a_text_tower_is_loaded_once_a_process(folder):
    options = ModelOptions(name="tiny", source=str(folder / "clip"))
    first = text_tower(options, Settings(), "cpu")
    assert text_tower(options, Settings(), "cpu") is first
