"""A few steps of both trainings: the loss falls, the same seed gives the same weights, and what is saved loads."""

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from image_retrieval.models.towers import load_image_tower
from image_retrieval.training import dual, vision
from image_retrieval.training.photolike import draw_clouds, draw_leaves
from image_retrieval.training.samples import SIDE, draw_samples

SAMPLES = draw_samples(40, 0)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(dual, "BATCH", 12)
    monkeypatch.setattr(dual, "STRANGE", 4)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def embedded(folder) -> torch.Tensor:
    found = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    return found.embed(torch.from_numpy(SAMPLES.pixels[:3]))


def test_the_dual_encoder_learns_and_loads(tmp_path):
    losses = dual.train(tmp_path, SAMPLES, 16, 0)
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert embedded(tmp_path).shape == (3, 128)
    tokens = AutoTokenizer.from_pretrained(tmp_path).tokenize("Two red circles, 两个红色圆形")
    assert tokens == ["two", "red", "circles", "[UNK]", "两", "个", "红", "色", "圆", "形"]


def test_the_vision_transformer_learns_and_loads(tmp_path):
    drawings = [SAMPLES, draw_samples(40, 1)]
    cycles = (vision.Cycle(16, 2e-3, 16, 4), vision.Cycle(8, 2e-3, 16, 4, leaves=True))
    losses = vision.train(tmp_path, drawings, draw_clouds(8, 0), draw_leaves(8, 0), cycles, 0)
    assert np.mean(losses[-6:]) < np.mean(losses[:6])
    assert embedded(tmp_path).shape == (3, 128)


def test_the_same_seed_gives_the_same_weights(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        (tmp_path / name).mkdir()
        dual.train(tmp_path / name, SAMPLES, 2, seed)
    first, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == same
    assert first != other


@pytest.mark.parametrize("draw", [draw_clouds, draw_leaves])
def test_photolike_pictures_are_of_the_seed_and_all_different(draw):
    pictures = draw(6, 1)
    assert pictures.shape == (6, SIDE, SIDE, 3)
    assert (pictures == draw(6, 1)).all()
    assert len({picture.tobytes() for picture in pictures}) == 6
    assert pictures.std(axis=(1, 2)).min() > 2
