import json
import shutil
from pathlib import Path

import pytest
import torch
from text_sides import COUNTS, TEXTS, with_text_side

from image_retrieval.errors import UserError
from image_retrieval.models.adding import add_model
from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS, describe
from image_retrieval.models.digest import digest_of
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.settings import load_settings
from unit.models.families import save

NOISE = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("vit", tmp_path_factory.mktemp("models") / "vit")


@pytest.fixture(scope="module")
def both(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_text_side(plain, tmp_path_factory.mktemp("models") / "both")


def test_a_text_side_leaves_the_vectors_of_pictures_as_they_are(plain, both):
    one, other = (
        load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True) for folder in (plain, both)
    )
    assert torch.equal(one.embed(NOISE), other.embed(NOISE))
    assert one.digest == other.digest == digest_of(both)
    assert (describe(plain).family, describe(both).family) == ("vision_transformer", "dual_encoder")
    assert describe(both).image_family == "vision_transformer"


def test_texts_become_vectors_of_the_same_space(both):
    tower = load_text_tower(both, dtype="float32", device="cpu")
    found = tower.embed(TEXTS)
    assert found.shape == (3, 32)
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(tower.embed(TEXTS[:1]), found[:1], atol=1e-5)  # padding changes nothing
    half = load_text_tower(both, dtype="bfloat16", device="cpu").embed(TEXTS)
    assert float((half * found).sum(dim=1).min()) > 0.99


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dimensions": 64}, "is for vectors of 64 dimensions: those of its pictures have 32"),
        ({"encoder": {"model_type": "gpt2"}}, "states no encoder of type bert"),
        ({"pooling": "cls"}, "states no encoder of type bert"),
        ({"most_tokens": "all"}, "needs whole numbers"),
        ({"encoder": {"model_type": "bert", "vocab_size": 3}}, "needs whole numbers"),
        ({"encoder": {"model_type": "bert", "vocab_size": 10**12, **COUNTS, "max_position_embeddings": 8}}, "does not"),
    ],
)
def test_what_text_side_json_lacks_is_told(both, tmp_path, changes, told):
    folder = shutil.copytree(both, tmp_path / "changed")
    written = json.loads((folder / TEXT_SIDE).read_text())
    (folder / TEXT_SIDE).write_text(json.dumps({**written, **changes}))
    with pytest.raises(UserError, match=told) as raised:
        load_text_tower(folder, dtype="float32", device="cpu")
    assert "\n" not in str(raised.value)


def test_weights_that_are_broken_are_told(both, tmp_path):
    folder = shutil.copytree(both, tmp_path / "broken")
    (folder / TEXT_WEIGHTS).write_bytes((folder / TEXT_WEIGHTS).read_bytes()[:100])
    with pytest.raises(UserError, match=r"the text side of model .* does not load"):
        load_text_tower(folder, dtype="float32", device="cpu")
    (folder / TEXT_WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"the text side of model .* does not load"):
        load_text_tower(folder, dtype="float32", device="cpu")
    assert load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True).embed(NOISE).shape == (2, 32)


def test_models_add_keeps_the_text_side(both, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{tmp_path}/work")
    monkeypatch.setenv("IMAGE_RETRIEVAL_LOCAL_PATH", str(tmp_path / "local"))
    settings = load_settings()
    added = add_model("both", str(both), settings)
    assert added.texts
    assert added.digest == digest_of(both)
    folder = model_folder(added.source, None, settings)
    found, wanted = (load_text_tower(one, dtype="float32", device="cpu").embed(TEXTS) for one in (folder, both))
    assert torch.equal(found, wanted)
