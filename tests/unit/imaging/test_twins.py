"""A picture gives the same resampled one whatever its orientation, colour model, depth and format are.

The twin is the same picture as a plain RGB PNG; the tolerance is in decibels of PSNR between what the two give.
"""

import io
import struct
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageOps

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.colour import to_8_bits
from image_retrieval.imaging.exif import TURNS
from image_retrieval.imaging.resample import resample
from unit.imaging.pictures import LIMITS, encoded, heic, photo, psnr

LOSSLESS = 50  # the same 8-bit pixels, by another way
LOSSY = 38  # encoded anew, or through another colour space
PHOTO = photo(640, 480)
GREY = PHOTO.convert("L")
MUTED = Image.blend(PHOTO, Image.new("RGB", PHOTO.size, (128, 128, 128)), 0.6)  # colours that CMYK inks can print
UNDO = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # the others undo themselves


def likeness(data: bytes, twin: Image.Image, **options: Any) -> float:
    """Decibels between what a file and a plain PNG of the twin are resampled to."""
    chosen = ResampleOptions(**{"target_size": (160, 96), **options})
    found, wanted = (resample(one, chosen, LIMITS).pixels for one in (data, encoded(twin, "PNG")))
    return psnr(found, wanted)


def vips(image: Image.Image) -> pyvips.Image:
    return pyvips.Image.new_from_array(np.asarray(image)).copy(interpretation="srgb" if image.mode == "RGB" else "b-w")


def deep(image: Image.Image) -> pyvips.Image:
    """16 bits a band."""
    return vips(image).linear(257, 0).cast("ushort").copy(interpretation="rgb16")


def stored(orientation: int, picture: Image.Image = PHOTO) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = UNDO.get(orientation, TURNS.get(orientation))
    return (picture if turn is None else picture.transpose(turn)), exif


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (641, 479), (1333, 777)])
def test_orientation(orientation, fit, size):
    picture = photo(*size)
    image, exif = stored(orientation, picture)
    assert likeness(encoded(image, "PNG", exif=exif), picture, fit=fit) >= LOSSLESS
    jpeg = encoded(image, "JPEG", exif=exif, quality=98, subsampling=0)
    assert likeness(jpeg, picture, fit=fit) >= 45


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["TIFF", "WEBP", "AVIF", "HEIF"])
def test_orientation_in_other_formats(orientation, format):
    image, exif = stored(orientation)
    if format == "HEIF":
        data = heic(image, exif=exif.tobytes())
    else:
        data = encoded(image, format, exif=exif, **({"lossless": True} if format == "WEBP" else {"quality": 95}))
    assert likeness(data, PHOTO) >= (LOSSY if format in ("AVIF", "HEIF") else LOSSLESS)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(GREY, "PNG"), id="L"),
        pytest.param(encoded(GREY.convert("LA"), "PNG"), id="LA"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257), "PNG"), id="16-bit PNG"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257), "TIFF"), id="16-bit TIFF"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(">u2") * 257), "PPM"), id="16-bit PGM"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(np.int32) * 257), "TIFF"), id="32-bit TIFF"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(np.float32) / 255), "TIFF"), id="float to 1"),
        pytest.param(encoded(Image.fromarray(np.asarray(GREY).astype(np.float32)), "TIFF"), id="float to 255"),
        pytest.param(encoded(GREY, "GIF"), id="grey palette"),
    ],
)
def test_greys(data):
    assert likeness(data, GREY.convert("RGB")) >= LOSSLESS


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(PHOTO.convert("RGBA"), "PNG"), id="RGBA"),
        pytest.param(encoded(PHOTO.convert("RGBA"), "TIFF"), id="RGBA TIFF"),
        pytest.param(encoded(PHOTO.convert("RGBX"), "TIFF"), id="RGBX"),
        pytest.param(deep(PHOTO).pngsave_buffer(), id="16-bit PNG"),
        pytest.param(deep(PHOTO).tiffsave_buffer(), id="16-bit TIFF"),
        pytest.param(vips(PHOTO).pngsave_buffer(interlace=True), id="interlaced PNG"),
        pytest.param(vips(PHOTO).tiffsave_buffer(compression="deflate", tile=True), id="tiled TIFF"),
        pytest.param(encoded(PHOTO, "BMP"), id="BMP"),
        pytest.param(encoded(PHOTO, "TGA", compression="tga_rle"), id="TGA"),
        pytest.param(encoded(PHOTO, "QOI"), id="QOI"),
        pytest.param(encoded(PHOTO, "DDS"), id="DDS"),
        pytest.param(encoded(PHOTO, "PPM"), id="PPM"),
        pytest.param(encoded(PHOTO, "WEBP", lossless=True), id="WebP"),
        pytest.param(encoded(PHOTO, "JPEG2000"), id="JPEG 2000"),
    ],
)
def test_colours_without_loss(data):
    assert likeness(data, PHOTO) >= LOSSLESS


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(PHOTO.convert("YCbCr"), "TIFF"), id="YCbCr"),
        pytest.param(encoded(PHOTO, "TIFF", compression="jpeg", quality=95), id="JPEG in TIFF"),
        pytest.param(encoded(PHOTO, "JPEG", quality=95, progressive=True), id="progressive JPEG"),
        pytest.param(encoded(PHOTO, "AVIF", quality=95), id="AVIF"),
        pytest.param(heic(PHOTO), id="HEIC"),
        pytest.param(encoded(PHOTO, "MPO", quality=95, save_all=True, append_images=[GREY]), id="MPO"),
    ],
)
def test_colours_with_loss(data):
    assert likeness(data, PHOTO) >= 33


@pytest.mark.parametrize("format", ["PNG", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("colours", [256, 16, 2])
def test_palette(format, colours):
    image = PHOTO.quantize(colours)
    assert likeness(encoded(image, format), image.convert("RGB")) >= LOSSLESS


def test_black_and_white():
    image = GREY.convert("1")
    assert likeness(encoded(image, "PNG"), image.convert("RGB")) >= LOSSLESS
    assert likeness(encoded(image, "TIFF", compression="group4"), image.convert("RGB")) >= LOSSLESS


def cmyk(image: Image.Image) -> pyvips.Image:
    """Inks of a picture without black: the opposite of its colours."""
    inks = vips(image).linear(-1, 255).cast("uchar")
    return inks.bandjoin(0).copy(interpretation="cmyk")


def test_cmyk_jpeg_as_adobe_inverts_it():
    assert likeness(cmyk(PHOTO).jpegsave_buffer(Q=98, keep="none", subsample_mode="off"), PHOTO) >= LOSSY


def test_cmyk_tiff():
    assert likeness(cmyk(PHOTO).tiffsave_buffer(keep="none"), PHOTO) >= LOSSLESS


def test_ycck_jpeg_as_adobe_inverts_it():
    # Adobe's YCbCr are those of the inks, taken for colours; Pillow inverts what it writes as CMYK
    inks = ImageOps.invert(PHOTO).convert("YCbCr")
    planes = [ImageOps.invert(plane) for plane in inks.split()]
    data = encoded(Image.merge("CMYK", [*planes, Image.new("L", PHOTO.size, 0)]), "JPEG", quality=98)
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    assert likeness(data[:place] + b"\2" + data[place + 1 :], PHOTO) >= LOSSY


def with_profile(image: Image.Image, profile: str) -> pyvips.Image:
    """The same colours in another space, by libvips and its own profiles, with the profile attached."""
    return vips(image).icc_transform(profile, input_profile="srgb", intent="relative")


@pytest.mark.parametrize("size", [(640, 480), (1600, 1200)])
def test_a_wide_rgb_profile_leads_to_srgb(size):
    image = photo(*size)
    wide = with_profile(image, "p3")
    assert likeness(wide.copy().pngsave_buffer(), image) >= LOSSY
    assert likeness(wide.jpegsave_buffer(Q=98, subsample_mode="off"), image) >= LOSSY
    plain = resample(wide.pngsave_buffer(keep="none"), ResampleOptions(), LIMITS).pixels
    assert psnr(plain, resample(encoded(image, "PNG"), ResampleOptions(), LIMITS).pixels) < 35


@pytest.mark.parametrize("write", ["jpegsave_buffer", "tiffsave_buffer"])
def test_a_cmyk_profile_leads_to_srgb(write):
    inks = with_profile(MUTED, "cmyk")
    assert likeness(getattr(inks, write)(), MUTED) >= 30
    assert likeness(getattr(inks, write)(keep="none"), MUTED) < 25


@pytest.mark.parametrize("profile", [b"", b"no profile at all", b"\0" * 200, struct.pack(">I", 500) + b"\xff" * 496])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_broken_profile_is_ignored(format, profile):
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(PHOTO, format, icc_profile=profile, **options)
    assert likeness(data, PHOTO) >= (36 if format == "JPEG" else LOSSLESS)


def test_a_profile_of_another_colour_model_is_ignored():
    profile = Image.open(io.BytesIO(with_profile(MUTED, "cmyk").jpegsave_buffer())).info["icc_profile"]
    assert likeness(encoded(PHOTO, "PNG", icc_profile=profile), PHOTO) >= LOSSLESS


def over(background: tuple[int, int, int]) -> tuple[Image.Image, Image.Image]:
    """A picture that fades from left to right, and what it looks like over a background."""
    layer = PHOTO.convert("RGBA")
    layer.putalpha(Image.linear_gradient("L").rotate(90).resize(PHOTO.size))
    return layer, Image.alpha_composite(Image.new("RGBA", PHOTO.size, (*background, 255)), layer).convert("RGB")


@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "TGA"])
def test_transparency_shows_the_background(format, background):
    layer, seen = over(background)
    data = encoded(layer, format, **({"lossless": True} if format == "WEBP" else {}))
    assert likeness(data, seen, background=background) >= 48


@pytest.mark.parametrize("mode", ["LA", "La", "RGBa", "RGBA"])
def test_premultiplied_or_not_transparency_shows_the_background(mode):
    layer, _ = over((255, 255, 255))
    grey = layer.convert("LA")
    given = {"La": grey.convert("La"), "LA": grey, "RGBa": layer.convert("RGBa"), "RGBA": layer}[mode]
    found, profile = to_8_bits(given, None, (255, 255, 255))
    base = (grey if mode in ("LA", "La") else layer).convert("RGBA")
    wanted = Image.alpha_composite(Image.new("RGBA", base.size, "white"), base).convert("RGB")
    assert profile is None
    assert psnr(found.tobytes(), wanted.tobytes()) >= 45
