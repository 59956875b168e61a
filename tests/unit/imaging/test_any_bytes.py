"""Whatever the bytes are, they give pixels or a reason."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.resample import resample
from unit.imaging.pictures import LIMITS, encoded, photo

OPTIONS = ResampleOptions(target_size=(16, 12))
PICTURES = {format: encoded(photo(96, 64), format) for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF")}
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)


def gives_pixels_or_a_reason(data: bytes) -> bool:
    try:
        found = resample(data, OPTIONS, LIMITS)
    except ImageRejected as rejected:
        return b"\0" not in rejected.detail.encode()
    return len(found.pixels) == 16 * 12 * 3 and found.width > 0 and found.height > 0


@given(st.binary(max_size=500))
@example(b"\xff\xd8\xff")
@example(b"\x89PNG\r\n\x1a\n")
@example(b"GIF89a")
@example(b"RIFF\0\0\0\0WEBP")
@example(b"II*\0\xff\xff\xff\xff")
@example(b"P6 1 1 255\n")
def test_any_bytes(data):
    assert gives_pixels_or_a_reason(data)


@pytest.mark.parametrize("format", PICTURES)
@given(changes=CHANGES, end=st.floats(0.1, 1), more=st.binary(max_size=20))
def test_any_change_of_a_picture(format, changes, end, more):
    data = bytearray(PICTURES[format])
    for place, value in changes:
        data[int(place * len(data))] = value
    assert gives_pixels_or_a_reason(bytes(data[: round(end * len(data))]) + more)


@pytest.mark.parametrize("format", PICTURES)
@given(changes=CHANGES)
def test_any_change_of_a_header(format, changes):
    data = bytearray(PICTURES[format])
    for place, value in changes:
        data[int(place * 64)] = value
    assert gives_pixels_or_a_reason(bytes(data))
