"""The filter on SIMD instructions beside Pillow's own, above all where edges are hard and filters overshoot."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.imaging import simd
from image_retrieval.imaging.resample import METHODS
from unit.imaging.drawings import black_or_white, checkerboard, line_art, text
from unit.imaging.pictures import array, photo

APART = 2  # of 255: the two round their weights in other places
SIZES = [
    ((640, 480), (224, 224)),
    ((641, 479), (224, 161)),
    ((300, 200), (224, 224)),
    ((100, 80), (224, 224)),
    ((90, 640), (120, 96)),
]


def apart(image: Image.Image, size: tuple[int, int], method: str, box: simd.Box) -> float:
    """The largest difference of a pixel, of 255."""
    found = simd.resize(image, size, method, box)
    return float(np.abs(array(found) - array(image.resize(size, METHODS[method], box=box))).max())


@pytest.mark.parametrize("method", simd.FILTERS)
@pytest.mark.parametrize("mode", simd.MODES)
@pytest.mark.parametrize(
    "draw",
    [
        photo,
        text,
        line_art,
        black_or_white,
        *(lambda width, height, side=side: checkerboard(width, height, side) for side in (1, 3, 16)),
    ],
    ids=["photo", "text", "line art", "black or white", "checkerboard 1", "checkerboard 3", "checkerboard 16"],
)
def test_hard_edges_are_those_of_pillow(draw, mode, method):
    for given_size, size in SIZES:
        image = draw(*given_size).convert(mode)
        assert apart(image, size, method, (0, 0, *given_size)) <= APART


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(*[st.floats(0, 0.45)] * 4),
    st.sampled_from(list(simd.FILTERS)),
)
def test_any_part_of_any_size(given_size, size, cut, method):
    width, height = given_size
    box = (width * cut[0], height * cut[1], width * (1 - cut[2]), height * (1 - cut[3]))
    assert apart(black_or_white(width, height), size, method, box) <= APART


def test_the_box_filter_is_pillows_own():
    assert not simd.can_resize(photo(8, 8), "box")
