"""Profiles are told by what they hold, in every colour model; a name decides nothing."""

import io

import numpy as np
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from image_retrieval.imaging.cicp import HLG, PQ, PRIMARIES, Cicp, to_srgb
from image_retrieval.imaging.colour import to_8_bits
from image_retrieval.imaging.formats import open_image
from image_retrieval.imaging.profiles import profile_of
from unit.imaging.pictures import LIMITS, array, encoded, grey_profile, heic, photo, rgb_profile, shown, with_tag

NAMES = ["sRGB-elle-V2-g10.icc", "sRGB linear", "linear Rec709", "elle-sRGB-V2-g10.icc"]
LINEAR_GREY, GREY = 55, 128  # the same in linear light and in sRGB
WHITE = (255, 255, 255)


def grey_of(mode: str, value: int = LINEAR_GREY, alpha: int = 255) -> Image.Image:
    filled = {"L": value, "LA": (value, alpha), "RGB": (value,) * 3, "RGBA": (value, value, value, alpha)}[mode]
    return Image.new(mode, (16, 16), filled)


def middle(data: bytes, **options: object) -> tuple[int, ...]:
    return shown(data, **options).getpixel((8, 8))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_linear_picture_is_seen_as_it_is(format, mode, name):
    if format == "JPEG" and "A" in mode:
        pytest.skip("JPEG has no transparency")
    linear = grey_profile if mode in ("L", "LA") and format != "WEBP" else rgb_profile  # WebP knows no grey
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(grey_of(mode), format, icc_profile=linear(1.0, name), **options)
    assert middle(data) == pytest.approx((GREY,) * 3, abs=1)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_colours_are_those_of_the_profile(mode):
    linear = grey_profile if mode == "LA" else rgb_profile
    data = encoded(grey_of(mode, alpha=128), "PNG", icc_profile=linear(1.0))
    assert middle(data, background=(0, 0, 0)) == pytest.approx((64,) * 3, abs=1)


def test_one_transparent_grey_is_that_of_the_profile():
    image = grey_of("L")
    image.putpixel((8, 8), 0)
    data = encoded(image, "PNG", transparency=0, icc_profile=grey_profile(1.0))
    assert middle(data, background=(1, 2, 3)) == (1, 2, 3)
    assert shown(data).getpixel((0, 0)) == pytest.approx((GREY,) * 3, abs=1)


def test_16_bit_grey_follows_its_profile():
    data = encoded(
        Image.fromarray(np.full((16, 16), LINEAR_GREY * 257, np.uint16)), "PNG", icc_profile=grey_profile(1.0)
    )
    assert middle(data) == pytest.approx((GREY,) * 3, abs=1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_profile_of_another_colour_model_is_ignored(mode):
    profile = rgb_profile(1.0) if mode == "unknown" else (grey_profile(1.0) if "RGB" in mode else b"broken")
    assert middle(encoded(grey_of(mode), "PNG", icc_profile=profile)) == (LINEAR_GREY,) * 3


def test_a_profile_of_inks_under_any_name_is_applied():
    inks = pyvips.Image.new_from_array(np.asarray(photo(64, 48))).copy(interpretation="srgb")
    printed = inks.icc_transform("cmyk", input_profile="srgb", intent="relative").tiffsave_buffer()
    profile = Image.open(io.BytesIO(printed)).info["icc_profile"]
    name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).strip()
    for text in (name.encode(), name.encode("utf-16-be")):
        fake = ("sRGB" + name[4:]).encode() if text == name.encode() else ("sRGB" + name[4:]).encode("utf-16-be")
        profile = profile.replace(text, fake)
    assert ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).startswith("sRGB")
    with Image.open(io.BytesIO(printed)) as image:
        renamed = encoded(image, "TIFF", icc_profile=profile)
    assert shown(renamed).tobytes() == shown(printed).tobytes()


def test_a_profile_that_is_srgb_changes_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    renamed = srgb.replace("sRGB".encode("utf-16-be"), "none".encode("utf-16-be"))
    for profile in (srgb, renamed):
        assert shown(encoded(photo(64, 48), "PNG", icc_profile=profile)).tobytes() == photo(64, 48).tobytes()


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_code_points_within_a_profile_go_before_its_curves(transfer):
    profile = with_tag(rgb_profile(2.2), b"cicp", bytes((9, transfer, 0, 1)))
    data = encoded(grey_of("RGB", 100), "PNG", icc_profile=profile)
    with open_image(data, max_pixels=LIMITS.pixels) as image:
        assert profile_of(image, data, None) == Cicp(9, transfer)
    assert middle(data) == to_srgb(grey_of("RGB", 100), Cicp(9, transfer)).getpixel((8, 8))


@given(st.binary(max_size=400))
def test_any_profile_costs_no_picture(profile):
    found, left = to_8_bits(grey_of("LA", alpha=100), b"\0" * 100 + profile, WHITE)
    assert found.size == (16, 16)
    assert left is None


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_any_code_points_keep_black_and_the_order_of_greys(primaries, transfer, value):
    grey = Image.new("RGB", (2, 1), (value,) * 3)
    grey.putpixel((0, 0), (0, 0, 0))
    black, found = (array(to_srgb(grey, Cicp(primaries, transfer)))[0, x] for x in (0, 1))
    assert black.max() == 0
    assert np.ptp(found) <= 1  # grey stays grey in whatever primaries
    assert found.min() >= 0


@pytest.mark.parametrize("primaries", [*PRIMARIES, 2, 250])
def test_white_stays_white(primaries):
    assert to_srgb(Image.new("RGB", (1, 1), WHITE), Cicp(primaries, 13)).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize(
    ("primaries", "given_colour", "seen"),
    [
        (12, (234, 51, 35), (255, 0, 0)),  # CSS Color 4: color(display-p3 0.91749 0.20029 0.13856) is red
        (12, (117, 251, 76), (0, 255, 0)),  # color(display-p3 0.45840 0.98526 0.29829) is lime
        (9, (202, 59, 19), (255, 0, 0)),  # by sRGB's curve on BT.2087-0's matrix
    ],
)
def test_primaries_lead_to_srgb(primaries, given_colour, seen):
    found = to_srgb(Image.new("RGB", (1, 1), given_colour), Cicp(primaries, 13)).getpixel((0, 0))
    assert found == pytest.approx(seen, abs=6)


def test_heic_of_display_p3_leads_to_srgb():
    codes = {"color_primaries": 12, "transfer_characteristics": 13, "matrix_coefficients": 6}
    data = heic(Image.new("RGB", (64, 64), (234, 51, 35)), **codes, full_range_flag=1, save_nclx_profile=True)
    assert middle(data) == pytest.approx((255, 0, 0), abs=10)
