"""Small files that ask a decoder to go over the same again and again are refused before it begins."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.effort import (
    MOST_CHUNKS,
    MOST_JUNK,
    MOST_PASSES,
    MOST_SCANS,
    MOST_SEGMENTS,
    is_quick,
    require_bounded,
)
from image_retrieval.imaging.resample import resample
from unit.imaging.pictures import LIMITS, encoded, photo

OPTIONS = ResampleOptions(target_size=(16, 16))
PROGRESSIVE = encoded(photo(64, 48), "JPEG", progressive=True)
BASELINE = encoded(photo(64, 48), "JPEG")
EMPTY_CHUNK = b"\0\0\0\0IDAT\x35\xaf\x06\x1e"
STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0")


def of_scans(count: int, jpeg: bytes = PROGRESSIVE) -> bytes:
    """The same picture with its last scan repeated, until it has so many."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + jpeg[last:-2] * (count - jpeg.count(b"\xff\xda")) + jpeg[-2:]


def with_chunks(count: int) -> bytes:
    png = encoded(photo(8, 8), "PNG")
    start = png.index(b"IDAT") - 4
    return png[:start] + EMPTY_CHUNK * count + png[start:]


def tiff_of_directories(count: int, entries: int = 0) -> bytes:
    size = 6 + 12 * entries
    entry = struct.pack("<HHII", 256, 4, 1, 8) * entries
    links = [*range(8 + size, 8 + size * count, size), 0]
    return b"II*\0\x08\0\0\0" + b"".join(struct.pack("<H", entries) + entry + struct.pack("<I", at) for at in links)


def tiff_of_strips(count: int) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 273, 4, count, 8, 0) + bytes(100)


def animation(kind: str, count: int, **options: object) -> bytes:
    frames = [Image.new("RGB", (40, 40), (shade, 0, 0)) for shade in range(count)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


REFUSED = [
    pytest.param(of_scans(MOST_SCANS + 1), "more than 100 scans", id="scans"),
    pytest.param(of_scans(MOST_SCANS + 1, BASELINE), "more than 100 scans", id="scans of a baseline JPEG"),
    pytest.param(of_scans(5000) + BASELINE, "more than 100 scans", id="scans, another picture behind"),
    pytest.param(
        BASELINE[:2] + b"\xff\xfe\0\2" * (MOST_SEGMENTS + 1) + BASELINE[2:], "more than 10000 segments", id="comments"
    ),
    pytest.param(BASELINE[:2] + b"\xff\xfe\0\2" + bytes(MOST_JUNK + 1) + BASELINE[2:], "between", id="junk"),
    pytest.param(BASELINE[:2] + b"\xff" * (MOST_JUNK + 2) + BASELINE[2:], "between", id="fill bytes"),
    pytest.param(with_chunks(MOST_CHUNKS), "more than 200000 chunks", id="chunks of a PNG"),
    pytest.param(tiff_of_directories(LIMITS.frames + 1), "101 frames are over the limit of 100", id="directories"),
    pytest.param(tiff_of_directories(3, 40_000), "more than 100000 entries", id="entries of directories"),
    pytest.param(tiff_of_strips(2**21), "more than 1048576 strips", id="strips"),
]


@pytest.mark.parametrize(("data", "detail"), REFUSED)
def test_what_asks_for_too_much_is_too_large(data, detail):
    with pytest.raises(ImageRejected, match=detail) as rejected:
        resample(data, OPTIONS, LIMITS)
    assert rejected.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [of_scans(MOST_SCANS), BASELINE[:2] + b"\xff\xfe\0\2" * 100 + BASELINE[2:], with_chunks(100)],
    ids=["scans", "comments", "chunks"],
)
def test_what_is_at_the_bound_is_a_picture(data):
    assert resample(data, OPTIONS, LIMITS).format in ("JPEG", "PNG")


def test_blocks_of_a_gif_are_bounded(monkeypatch):
    monkeypatch.setattr("image_retrieval.imaging.effort.MOST_BLOCKS", 1000)
    gif = encoded(photo(8, 8).convert("P"), "GIF")
    at = gif.rindex(b",")
    for more in (b"!\xfe" + b"\1a" * 1001 + b"\0", b"!\xfe\0" * 1001, b"\1" * 1001):
        with pytest.raises(ImageRejected, match="more than 1000 blocks"):
            resample(gif[:at] + more + gif[at:], OPTIONS, LIMITS)
    assert resample(gif, OPTIONS, LIMITS).format == "GIF"


def test_scans_of_a_large_picture_count_for_all_its_pixels():
    limits = Limits(64 * 48, 1)
    assert resample(of_scans(MOST_PASSES), OPTIONS, limits).width == 64
    with pytest.raises(ImageRejected, match=f"{MOST_PASSES + 1} scans of 3072 pixels"):
        resample(of_scans(MOST_PASSES + 1), OPTIONS, limits)


@pytest.mark.parametrize(("kind", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_frames_before_the_one_that_is_wanted_count(kind, options):
    data = animation(kind, MOST_PASSES + 1, **options)
    last, limits = OPTIONS.model_copy(update={"frame": "last"}), Limits(40 * 40, 100)
    with pytest.raises(ImageRejected, match=f"{MOST_PASSES + 1} frames of 1600 pixels"):
        resample(data, last, limits)
    assert resample(data, OPTIONS, limits).width == 40


def test_scans_of_a_further_picture_of_an_mpo_are_counted():
    first, second = photo(64, 48), photo(48, 64)
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[second])
    data = file.getvalue()
    start = data.rindex(b"\xff\xd8\xff")
    last = OPTIONS.model_copy(update={"frame": "last"})
    assert resample(data, last, LIMITS).height == 64
    behind = data[:start] + of_scans(MOST_SCANS + 1, data[start:])
    with pytest.raises(ImageRejected, match="more than 100 scans"):
        resample(behind, last, LIMITS)


def test_scans_of_a_strip_of_a_tiff_are_bounded():
    strip = of_scans(MOST_SCANS, encoded(photo(64, 48).convert("L"), "JPEG", progressive=True))
    tags = ((256, 64), (257, 48), (258, 8), (259, 7), (262, 1), (273, 200), (277, 1), (278, 48), (279, len(strip)))
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    few = of_scans(4, encoded(photo(64, 48).convert("L"), "JPEG", progressive=True))
    start = (b"II*\0\x08\0\0\0" + directory).ljust(200, b"\0")
    assert resample(start + few.ljust(len(strip), b"\0"), OPTIONS, LIMITS).format == "TIFF"
    with pytest.raises(ImageRejected):
        resample(start + strip, OPTIONS, LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_picture_of_a_phones_screen_is_quick_and_a_poster_is_not(kind):
    assert is_quick(encoded(Image.new("RGB", (720, 1280)), kind))
    assert not is_quick(encoded(Image.new("RGB", (6000, 4000)), kind))


def test_a_lossless_webp_tells_its_size_too():
    assert is_quick(encoded(Image.new("RGB", (1080, 1920)), "WEBP", lossless=True))
    assert not is_quick(encoded(Image.new("RGB", (3000, 2000)), "WEBP", lossless=True))
    assert is_quick(animation("WEBP", 3))


def test_scans_count_when_it_is_told_what_is_quick():
    large = encoded(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    assert is_quick(large)
    assert not is_quick(of_scans(20, large))
    assert not is_quick(of_scans(90, encoded(Image.new("L", (2000, 2000)), "JPEG", progressive=True)))


@pytest.mark.parametrize("data", [b"", b"II*\0", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", bytes(100), bytes(5 * 2**20)])
def test_what_tells_nothing_is_not_quick(data):
    assert not is_quick(data)


@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_any_bytes_are_counted_or_refused(start, rest):
    reason = Reason.TOO_LARGE
    assert is_quick(start + rest) in (True, False)
    try:
        require_bounded(start + rest, LIMITS.pixels, LIMITS.frames)
    except ImageRejected as rejected:
        reason = rejected.reason
    assert reason is Reason.TOO_LARGE
