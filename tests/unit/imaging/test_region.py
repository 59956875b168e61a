"""A region of a picture is what a crop of it would be, however its file is turned and decoded."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.exif import TURNS
from image_retrieval.imaging.region import size_of_part
from image_retrieval.imaging.resample import resample
from image_retrieval.values import part_of_picture
from unit.imaging.pictures import LIMITS, encoded, opened, photo, psnr

WIDTH, HEIGHT = 96, 64
BOX = (24, 8, 72, 56)  # left, upper, right, lower in pixels
REGION = (24 / WIDTH, 8 / HEIGHT, 48 / WIDTH, 48 / HEIGHT)


def pixels(data, **options):
    return resample(data, ResampleOptions(target_size=(32, 32), **options), LIMITS).pixels


def turned(image, orientation):
    """A file that shows the image upright, stored in another direction."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    for back in (None, *Image.Transpose):
        stored = image if back is None else image.transpose(back)
        stored.info = {}
        file = encoded(stored, "PNG", exif=exif)
        if ImageOps.exif_transpose(opened(file)).tobytes() == image.tobytes():
            return file
    raise AssertionError(orientation)


@pytest.mark.parametrize("orientation", [1, *TURNS])
@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_it_is_the_crop_whichever_way_the_file_is_turned(orientation, exact, fit):
    image = photo(WIDTH, HEIGHT)
    crop = encoded(image.crop(BOX), "PNG")
    found, wanted = (
        pixels(turned(image, orientation), region=REGION, exact=exact, fit=fit),
        pixels(crop, exact=exact, fit=fit),
    )
    assert found == wanted or (
        psnr(found, wanted) > 45 and not exact
    )  # a turned picture is resized before it is turned


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "AVIF", "TIFF"])
def test_a_large_picture_decoded_small_shows_the_same_region(format):
    large, region = photo(1600, 1200), (0.31, 0.22, 0.43, 0.57)
    box = [round(share * side) for share, side in zip((0.31, 0.22, 0.74, 0.79), (1600, 1200) * 2, strict=True)]
    crop = encoded(large.crop(box), "PNG")
    assert psnr(pixels(encoded(large, format), region=region), pixels(crop)) > 32


def test_all_of_a_picture_is_the_picture():
    data = encoded(photo(WIDTH, HEIGHT), "JPEG")
    assert pixels(data, region=(0, 0, 1, 1)) == pixels(data)


share = st.floats(0, 1)


@given(st.tuples(share, share, share, share), st.integers(1, 50), st.integers(1, 50), st.sampled_from([1, *TURNS]))
def test_any_region_of_any_picture_has_a_pixel(region, width, height, orientation):
    try:
        part_of_picture(region)
    except ValueError:
        return
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.new("RGB", (width, height)), "PNG", exif=exif)
    found = resample(data, ResampleOptions(target_size=(8, 8), region=region), LIMITS)
    upright = (height, width) if orientation >= 5 else (width, height)
    assert (found.width, found.height) == size_of_part(*upright, region)
    assert 1 <= found.width <= upright[0]
    assert 1 <= found.height <= upright[1]


@given(st.tuples(*[st.floats(-2, 3) | st.just(float("nan"))] * 4))
def test_only_what_lies_in_a_picture_is_a_region(given_):
    left, top, width, height = given_
    known = not any(map(math.isnan, given_))
    inside = known and min(left, top) >= 0 and min(width, height) > 0 and max(left + width, top + height) <= 1
    try:
        assert part_of_picture(given_) == given_
    except ValueError:
        assert not inside
    else:
        assert inside or max(left + width, top + height) <= 1 + 1e-6
