import hashlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.resample import METHODS, encode, resample
from unit.imaging.drawings import black_or_white, line_art, text
from unit.imaging.pictures import LIMITS, array, encoded, opened, photo, psnr

FITS = ["stretch", "crop", "pad"]


def pixels(data: bytes, **options) -> bytes:
    return resample(data, ResampleOptions(**options), LIMITS).pixels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(224, 224), (31, 17), (300, 20)])
def test_every_method_and_fit_gives_the_exact_size(method, how, size):
    data = encoded(photo(96, 64), "PNG")
    assert len(pixels(data, method=method, fit=how, target_size=size)) == size[0] * size[1] * 3


@given(
    st.tuples(st.integers(1, 400), st.integers(1, 400)),
    st.tuples(st.integers(1, 64), st.integers(1, 64)),
    st.sampled_from(FITS),
    st.sampled_from(list(METHODS)),
)
@example((55, 110), (224, 224), "crop", "lanczos")
@example((95, 400), (224, 224), "crop", "nearest")
@example((1, 4096), (4096, 1), "pad", "lanczos")
@example((96, 40_512), (16, 12), "stretch", "lanczos")
def test_a_picture_of_any_size_fits(size, target, how, method):
    options = ResampleOptions(target_size=target, fit=how, method=method)
    assert len(resample(encoded(Image.new("RGB", size), "PPM"), options, LIMITS).pixels) == target[0] * target[1] * 3


@pytest.mark.parametrize("how", FITS)
@pytest.mark.parametrize("size", [(1, 1), (20_000, 1), (1, 20_000)])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_extreme_pictures_fit(how, size, format):
    found = resample(encoded(Image.new("RGB", size), format), ResampleOptions(fit=how), LIMITS)
    assert (found.width, found.height) == size
    assert len(found.pixels) == 224 * 224 * 3


def test_what_is_known_of_the_original_comes_along():
    data = encoded(photo(96, 64), "WEBP")
    found = resample(data, ResampleOptions(), LIMITS)
    assert (found.width, found.height, found.format) == (96, 64, "WEBP")
    assert found.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_nearest_is_identical_with_pillows_own(format):
    data = encoded(photo(800, 600), format)
    wanted = opened(data).convert("RGB").resize((64, 48), Image.Resampling.NEAREST)
    assert pixels(data, method="nearest", target_size=(64, 48)) == wanted.tobytes()


@pytest.mark.parametrize("method", ["box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(224, 224), (224, 160), (64, 64)])
@pytest.mark.parametrize("original", [(1600, 1200), (1597, 1203)], ids=["even", "odd"])
def test_the_fast_way_looks_like_the_full_one(method, size, original):
    for data in (encoded(photo(*original), "JPEG", quality=90), encoded(photo(*original), "PNG")):
        full = opened(data).convert("RGB").resize(size, METHODS[method])
        assert psnr(pixels(data, method=method, target_size=size), full.tobytes()) >= 45


@pytest.mark.parametrize("how", FITS)
def test_the_fast_way_of_every_fit_looks_like_the_exact_one(how):
    data = encoded(photo(1597, 1203), "JPEG", quality=90)
    assert psnr(pixels(data, fit=how), pixels(data, fit=how, exact=True)) >= 48


@pytest.mark.parametrize("draw", [text, line_art, black_or_white], ids=["text", "line art", "black or white"])
@pytest.mark.parametrize("original", [(640, 480), (1597, 1203)], ids=["by the filter alone", "reduced before it"])
@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_hard_edges_of_the_fast_way_are_bounded(draw, original, format):
    data = encoded(draw(*original), format, **({"quality": 95, "subsampling": 0} if format == "JPEG" else {}))
    found, wanted = pixels(data), pixels(data, exact=True)
    assert np.abs(array(found) - array(wanted)).max() <= (2 if original == (640, 480) else 25)
    assert psnr(found, wanted) >= (60 if original == (640, 480) else 36)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "data",
    [
        encoded(photo(1597, 1203), "JPEG"),
        encoded(photo(1597, 1203), "PNG"),
        encoded(photo(301, 203).convert("L"), "JPEG"),
        encoded(photo(301, 203).quantize(64), "GIF"),
        encoded(photo(301, 203).convert("CMYK"), "TIFF"),
        encoded(photo(100, 80), "WEBP"),
    ],
    ids=["JPEG", "PNG", "grey JPEG", "GIF", "CMYK TIFF", "smaller WebP"],
)
def test_exact_is_pillows_full_result_to_the_bit(method, data):
    full = opened(data).convert("RGB").resize((224, 160), METHODS[method])
    assert pixels(data, method=method, target_size=(224, 160), exact=True) == full.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exact_is_pillows_full_result_of_a_turned_picture(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(301, 203), "JPEG", exif=exif)
    full = ImageOps.exif_transpose(opened(data)).resize((224, 160), Image.Resampling.LANCZOS)
    assert pixels(data, target_size=(224, 160), exact=True) == full.tobytes()


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_photograph_looks_like_its_upright_twin(orientation):
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = encoded(photo(1600, 1200), "JPEG", quality=95)
    turned = encoded(photo(1600, 1200).transpose(turn), "JPEG", quality=95, exif=exif)
    assert psnr(pixels(turned), pixels(upright)) >= 40


def framed(size: tuple[int, int], centre: tuple[int, int, int, int]) -> bytes:
    """A blue centre (a box in pixels) in a red frame."""
    image = Image.new("RGB", size, "red")
    image.paste("blue", centre)
    return encoded(image, "PNG")


@pytest.mark.parametrize(
    ("size", "centre"), [((300, 100), (100, 0, 200, 100)), ((100, 300), (0, 100, 100, 200))], ids=["wide", "tall"]
)
def test_a_crop_keeps_the_centre(size, centre):
    found = pixels(framed(size, centre), fit="crop", target_size=(50, 50), method="box")
    assert found == Image.new("RGB", (50, 50), "blue").tobytes()


@pytest.mark.parametrize(
    ("size", "box"), [((300, 100), (0, 20, 60, 40)), ((100, 300), (20, 0, 40, 60))], ids=["wide", "tall"]
)
def test_a_pad_shows_all_on_white(size, box):
    found = pixels(encoded(Image.new("RGB", size, "blue"), "PNG"), fit="pad", target_size=(60, 60))
    wanted = Image.new("RGB", (60, 60), "white")
    wanted.paste("blue", box)
    assert found == wanted.tobytes()


def test_a_stretch_shows_all():
    found = array(pixels(framed((300, 100), (100, 0, 200, 100)), target_size=(30, 30), method="box")).reshape(30, 30, 3)
    blue = (found[:, :, 2] > 128).all(axis=0)
    assert np.flatnonzero(blue).tolist() == list(range(10, 20))


@pytest.mark.parametrize(("suffix", "format"), [(".png", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP")])
def test_the_suffix_decides_the_format_of_the_kept_file(suffix, format):
    options = ResampleOptions(target_size=(96, 64), suffix=suffix)
    found = opened(encode(photo(96, 64).tobytes(), options))
    assert (found.format, found.size, found.mode) == (format, (96, 64), "RGB")


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_a_kept_file_has_the_very_pixels(suffix):
    drawn = photo(96, 64).tobytes()
    options = ResampleOptions(target_size=(96, 64), suffix=suffix)
    assert opened(encode(drawn, options)).convert("RGB").tobytes() == drawn


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("dpi", [(72, 72), (300, 150)])
def test_a_kept_file_has_the_resolution_that_was_asked_for(suffix, dpi):
    options = ResampleOptions(target_size=(96, 64), suffix=suffix, target_dpi=dpi)
    assert opened(encode(photo(96, 64).tobytes(), options)).info["dpi"] == pytest.approx(dpi, abs=0.02)
