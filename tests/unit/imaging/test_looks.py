import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.looks import ANCHORS, COLOURS, colours_of, looks_of
from image_retrieval.imaging.resample import resample
from image_retrieval.scenes import draw_scenes
from unit.imaging.pictures import LIMITS, encoded, photo


def plain(colour: str | tuple[int, int, int], size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new("RGB", size, colour)


def looks(image: Image.Image):
    return looks_of(image.resize((32, 32)), image)


@pytest.mark.parametrize(("name", "code"), [(name, code) for name in COLOURS for code in ANCHORS[name].split()])
def test_a_plain_picture_has_the_name_of_its_colour(name, code):
    assert colours_of(plain(f"#{code}")) == name


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_every_colour_has_one_name(colour):
    assert colours_of(plain(colour, (4, 4))) in COLOURS


def test_colours_come_in_the_order_of_their_shares_and_small_ones_are_left_out():
    image = plain("white", (32, 32))
    image.paste(plain("red", (32, 12)), (0, 0))
    image.paste(plain("blue", (4, 4)), (0, 20))
    image.paste(plain("grey", (5, 5)), (20, 20))
    assert colours_of(image) == "white,red"


def test_drawn_scenes_have_the_colours_that_their_captions_name():
    scenes = list(draw_scenes(40))
    named = ("red", "green", "blue", "yellow", "orange", "purple", "black")
    colours = [next(name for name in named if name in scene.key) for scene in scenes]
    found = [resample(scene.data, ResampleOptions(), LIMITS).colours.split(",") for scene in scenes]
    missed = [colour not in seen for colour, seen in zip(colours, found, strict=True)]
    assert sum(missed) <= 0.2 * len(scenes)  # the smallest shapes cover less than a colour must


def test_blur_lowers_sharpness_and_edges_raise_complexity():
    sharp = photo(640, 480)
    blurred = sharp.filter(ImageFilter.GaussianBlur(8))
    assert looks(blurred).sharpness < looks(sharp).sharpness / 4
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8))
    assert looks(plain("grey", (320, 240))).complexity == 0.0
    assert looks(noise).complexity > 0.5


def test_the_size_of_the_original_hardly_counts():
    small, large = (
        resample(encoded(photo(*size), "PNG"), ResampleOptions(), LIMITS) for size in [(640, 480), (1280, 960)]
    )
    assert small.colours == large.colours
    assert small.complexity == pytest.approx(large.complexity, abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2)])
def test_tiny_pictures_have_looks(size):
    found = looks(plain("red", size))
    assert (found.colours, found.sharpness, found.complexity) == ("red", 0.0, 0.0)
