"""Altered copies are what people make of pictures: the same size, still the same picture, never the same pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.models.altering import altered, choices

WITHIN = st.floats(0, 1)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (64, 48), (224, 224)])
def test_a_copy_has_the_size_and_mode_of_its_picture(size):
    picture = Image.effect_noise(size, 50).convert("RGB")
    for choice in choices(20):
        copy = altered(picture, choice)
        assert (copy.size, copy.mode) == (size, "RGB")


@given(st.tuples(*[WITHIN] * 7))
def test_a_picture_can_be_altered_in_any_way(choice):
    assert altered(Image.new("RGB", (7, 5), (200, 10, 10)), choice).size == (7, 5)


def test_copies_differ_from_the_picture_and_each_other():
    picture = Image.radial_gradient("L").convert("RGB")
    copies = {altered(picture, choice).tobytes() for choice in choices(10)}
    assert len(copies) == 10
    assert picture.tobytes() not in copies


def test_half_of_the_copies_are_mirrored():
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1))).convert("RGB")
    rising = [np.asarray(altered(ramp, choice))[32, -20, 0] > 128 for choice in choices(64)]
    assert sum(rising) == 32


@given(st.integers(0, 200))
def test_every_property_is_altered_evenly_and_the_same_each_time(count):
    made = choices(count)
    assert made == choices(count)
    for values in zip(*made, strict=True):
        np.testing.assert_allclose(sorted(values), (np.arange(count) + 0.5) / count)
