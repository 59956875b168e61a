"""JPEG XL: pixels, colours and time, whatever its header says."""

from datetime import datetime

import numpy as np
import pylibjxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.cicp import Cicp
from image_retrieval.imaging.decode import decode
from image_retrieval.imaging.jxl_header import CONTAINER, STREAM, Header, read_header
from unit.imaging.pictures import LIMITS, photo, psnr, rgb_profile, shown

PIXELS = np.asarray(photo(96, 64))
LOSSLESS = pylibjxl.encode(PIXELS, lossless=True)


class Bits:
    """Bits from the lowest of each byte on."""

    def __init__(self) -> None:
        self.value, self.count = 0, 0

    def add(self, *pairs: tuple[int, int]) -> "Bits":
        for value, count in pairs:
            self.value |= value << self.count
            self.count += count
        return self

    def stream(self) -> bytes:
        return STREAM + self.value.to_bytes((self.count + 7) // 8 + 40, "little")


def of_size(side: int) -> Bits:
    """A square of up to 2**18 pixels a side."""
    return Bits().add((0, 1), (2, 2), (side - 1, 18), (1, 3))


def of_colours(primaries: int, transfer: int) -> bytes:
    """The header of a picture of 8 bits whose colours are told by code points of 2 to 17, and more."""
    bits = of_size(64).add((0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (0, 2), (0, 1))  # metadata: depth, channels, colours
    bits.add((0, 1), (0, 1), (0, 2), (1, 2))  # no profile, RGB, D65
    for code in (primaries, None, transfer):
        if code is None:
            bits.add((0, 1))  # no plain gamma
        else:
            bits.add(*{1: [(1, 2)], 18: [(3, 2), (0, 6)]}.get(code, [(2, 2), (code - 2, 4)]))
    return bits.stream()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels(mode):
    image = photo(96, 64).convert(mode)
    data = pylibjxl.encode(np.asarray(image), lossless=True)
    assert shown(data).tobytes() == image.convert("RGB").tobytes()


def test_transparency_shows_the_background():
    data = pylibjxl.encode(np.full((8, 8, 4), (255, 0, 0, 0), np.uint8), lossless=True)
    assert shown(data, background=(1, 2, 3)).getpixel((4, 4)) == (1, 2, 3)


@pytest.mark.parametrize("lossless", [True, False])
def test_profile(lossless):
    data = pylibjxl.encode(np.full((64, 64, 3), 55, np.uint8), lossless=lossless, icc=rgb_profile(1.0))
    assert shown(data).getpixel((32, 32)) == pytest.approx((128,) * 3, abs=4)


def test_lossy_without_a_profile():
    pixels = np.asarray(photo(640, 480))
    assert psnr(shown(pylibjxl.encode(pixels, distance=0.5)).tobytes(), pixels.tobytes()) > 33


def test_time_of_capture():
    exif = Image.Exif()
    exif[0x0112] = 6  # which its decoder has followed, or not: it is the header's that counts
    exif.get_ifd(0x8769)[36867] = "2020:05:06 07:08:09"
    data = pylibjxl.encode(PIXELS, lossless=True, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    picture = decode(data, ResampleOptions(), LIMITS)
    assert picture.captured_at == datetime(2020, 5, 6, 7, 8, 9)
    assert picture.orientation == 1


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (11, 13), (1, 8), (1, 13)])
def test_the_header_tells_code_points(primaries, transfer):
    found = read_header(of_colours(primaries, transfer))
    assert found == Header(False, Cicp(12 if primaries == 11 else primaries, transfer), False, False)


def test_headers_that_say_little():
    assert read_header(of_size(64).add((1, 1)).stream()) == Header(True, None, False, False)
    assert read_header(LOSSLESS) is not None
    assert read_header(CONTAINER) is None
    assert read_header(STREAM) is None


def test_a_bomb_is_refused_before_it_is_unfolded():
    with pytest.raises(ImageRejected, match="pixels") as rejected:
        decode(of_size(60_000).add((1, 1)).stream(), ResampleOptions(), LIMITS)
    assert rejected.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_cut_is_rejected(share):
    with pytest.raises(ImageRejected):
        decode(LOSSLESS[: int(share * len(LOSSLESS))], ResampleOptions(), LIMITS)


@given(st.sampled_from([STREAM, CONTAINER, LOSSLESS[:40]]), st.binary(max_size=200))
def test_any_header_ends(start, rest):
    found = read_header(start + rest)
    assert found is None or isinstance(found, Header)
