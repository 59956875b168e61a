"""Altered copies are what people make of pictures: the same size, still the same picture, never the same pixels."""

import random

import numpy as np
import pytest
from PIL import Image

from image_retrieval.models.altering import altered


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (64, 48), (224, 224)])
def test_a_copy_has_the_size_and_mode_of_its_picture(size):
    picture = Image.effect_noise(size, 50).convert("RGB")
    for seed in range(20):
        copy = altered(picture, random.Random(seed))
        assert (copy.size, copy.mode) == (size, "RGB")


def test_copies_differ_from_the_picture_and_each_other():
    picture = Image.radial_gradient("L").convert("RGB")
    copies = {altered(picture, random.Random(seed)).tobytes() for seed in range(10)}
    assert len(copies) == 10
    assert picture.tobytes() not in copies


def test_about_half_of_the_copies_are_mirrored():
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1))).convert("RGB")
    rising = [np.asarray(altered(ramp, random.Random(seed)))[32, -20, 0] > 128 for seed in range(100)]
    assert 30 <= sum(rising) <= 70
