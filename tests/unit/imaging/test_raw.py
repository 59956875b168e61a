"""Camera raw is told by its content, and shown by a preview of its size or not at all."""

import struct
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging import raw
from image_retrieval.imaging.decode import decode
from image_retrieval.imaging.tiff import directories
from unit.imaging.pictures import LIMITS, encoded, photo, psnr, shown

PHOTO = photo(480, 320)
PREVIEW = encoded(PHOTO, "JPEG", quality=95)
THUMBNAIL = encoded(PHOTO.resize((160, 107)), "JPEG")
SHORT, LONG, BYTE, TEXT = 3, 4, 1, 2
Tags = dict[int, tuple[int, int | bytes]]


def tiff(tags: Tags, *more: bytes, order: str = "<", mark: bytes = b"II*\0", sub: Tags | None = None) -> bytes:
    """A TIFF of one directory, one below it, and whatever follows."""
    entries = {**tags, **({330: (LONG, 0)} if sub else {})}
    start = 8 + 2 + 12 * len(entries) + 4
    below = b"" if sub is None else directory(sub, start, order)
    if sub:
        entries[330] = (LONG, start)
    return mark + struct.pack(order + "I", 8) + directory(entries, 8, order) + below + b"".join(more)


def directory(tags: Tags, at: int, order: str = "<") -> bytes:
    """A directory at a place of the file, and behind it nothing: values fit into its entries."""
    rows = b""
    for tag, (kind, value) in sorted(tags.items()):
        count = len(value) if isinstance(value, bytes) else 1
        held = (
            value
            if isinstance(value, bytes)
            else struct.pack(order + {SHORT: "H2x", LONG: "I", BYTE: "B3x"}[kind], value)
        )
        rows += struct.pack(order + "HHI", tag, kind, count) + held.ljust(4, b"\0")[:4]
    return struct.pack(order + "H", len(tags)) + rows + struct.pack(order + "I", 0)


SMALL: Tags = {254: (LONG, 1), 256: (LONG, 160), 257: (LONG, 107)}
SENSOR: Tags = {256: (LONG, 500), 257: (LONG, 330), 262: (SHORT, 32803)}
DNG: Tags = {**SMALL, 50706: (BYTE, b"\1\4\0\0")}


def raf() -> bytes:
    head = b"FUJIFILMCCD-RAW ".ljust(92, b"0") + struct.pack(">I", 96)
    return head + struct.pack(">IHHHH", 1, 0x100, 4, 330, 500)


def cr3() -> bytes:
    entry = b"CRAW" + bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", 500, 330)
    return struct.pack(">I4s4sI4s4s", 24, b"ftyp", b"crx ", 1, b"crx ", b"isom") + entry


KINDS = {
    "DNG": tiff(DNG, sub=SENSOR),
    "DNG, big-endian": tiff(DNG, order=">", mark=b"MM\0*", sub=SENSOR),
    "NEF": tiff({**SMALL, 271: (TEXT, b"NIK\0")}, sub=SENSOR),
    "NEF, compressed": tiff({**SMALL, 259: (SHORT, 6)}, sub={256: (LONG, 500), 257: (LONG, 330), 259: (SHORT, 34713)}),
    "linear raw": tiff(SMALL, sub={**SENSOR, 262: (SHORT, 34892)}),
    "CR2": b"II*\0\x10\0\0\0CR\2\0\0\0\0\0" + directory({0xA002: (LONG, 500), 0xA003: (LONG, 330)}, 16),
    "ORF": tiff(SENSOR, mark=b"IIRO"),
    "RW2": tiff({4: (SHORT, 4), 5: (SHORT, 8), 6: (SHORT, 334), 7: (SHORT, 508)}, mark=b"IIU\0"),
    "RAF": raf(),
    "CR3": cr3(),
}
OF_UNKNOWN_SIZE = {
    "X3F": b"FOVb" + bytes(40),
    "MRW": b"\0MRM" + bytes(40),
    "CRW": b"II\x1a\0\0\0HEAPCCDR" + bytes(40),
    "IIQ": b"II*\0\x10\0\0\0IIII\0\0\0\0" + directory({**SMALL, 256: (LONG, 480), 257: (LONG, 320)}, 16),
    "DNG without what the sensor saw": tiff({**DNG, 256: (LONG, 480), 257: (LONG, 320)}),
}


def rejection(data: bytes, **options: object) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        decode(data, ResampleOptions(**options), LIMITS)
    return rejected.value


@pytest.mark.parametrize("kind", [*KINDS, *OF_UNKNOWN_SIZE])
def test_raw_is_rejected_as_raw(kind):
    found = rejection({**KINDS, **OF_UNKNOWN_SIZE}[kind] + THUMBNAIL + PREVIEW)
    assert found.reason is Reason.RAW
    assert found.detail


@pytest.mark.parametrize("kind", KINDS)
def test_raw_may_be_shown_by_a_preview_of_its_size(kind):
    data = KINDS[kind] + THUMBNAIL + b"\0" * 100 + PREVIEW + THUMBNAIL + bytes(5000)
    picture = decode(data, ResampleOptions(raw="preview"), LIMITS)
    assert (picture.format, picture.width, picture.height) == ("RAW", 480, 320)
    assert psnr(shown(data, raw="preview").tobytes(), PHOTO.tobytes()) > 35


@pytest.mark.parametrize("kind", KINDS)
def test_raw_is_never_shown_by_a_thumbnail(kind):
    for rest in (THUMBNAIL, b"", THUMBNAIL + b"\xff\xd8\xff\xe0 no picture", encoded(photo(420, 280), "JPEG")):
        assert rejection(KINDS[kind] + rest, raw="preview").reason is Reason.RAW


@pytest.mark.parametrize("kind", OF_UNKNOWN_SIZE)
def test_raw_of_unknown_size_is_rejected(kind):
    assert rejection(OF_UNKNOWN_SIZE[kind] + PREVIEW, raw="preview").reason is Reason.RAW


def test_a_preview_is_turned_as_its_camera_was_held():
    data = tiff({**DNG, 274: (SHORT, 6)}, sub=SENSOR) + PREVIEW
    picture = decode(data, ResampleOptions(raw="preview"), LIMITS)
    assert (picture.width, picture.height, picture.orientation) == (320, 480, 6)


def test_a_preview_may_lie_across_the_sensor():
    tall = encoded(PHOTO.rotate(90, expand=True), "JPEG")
    assert decode(KINDS["DNG"] + tall, ResampleOptions(raw="preview"), LIMITS).width == 320


def test_a_preview_that_is_cut_is_truncated():
    assert rejection(KINDS["DNG"] + PREVIEW[: len(PREVIEW) // 2], raw="preview").reason is Reason.TRUNCATED


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "1"])
def test_a_plain_tiff_is_no_raw(mode, compression):
    if compression == "jpeg" and mode == "1":
        pytest.skip("JPEG has no black and white")
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[271], info[272] = "Maker", "Camera"
    data = encoded(photo(64, 48).convert(mode), "TIFF", compression=compression, tiffinfo=info)
    assert raw.recognized(data) is None
    assert decode(data, ResampleOptions(), LIMITS).format == "TIFF"


def test_the_time_of_capture_is_that_of_the_raw_file():
    exif = Image.Exif()
    exif[50706], exif[256], exif[257], exif[262] = b"\1\4\0\0", 500, 330, 32803
    exif.get_ifd(0x8769)[36867] = "2020:05:06 07:08:09"
    data = exif.tobytes().removeprefix(b"Exif\0\0") + PREVIEW
    assert decode(data, ResampleOptions(raw="preview"), LIMITS).captured_at == datetime(2020, 5, 6, 7, 8, 9)


def test_directories_in_a_circle_end():
    data = bytearray(tiff(SMALL))
    data[-4:] = struct.pack("<I", 8)
    assert len(list(directories(bytes(data)))) == 1
    many = tiff({330: (LONG, 8)})
    assert len(list(directories(many))) == 1


@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))),
    st.binary(),
)
@example("RAF", [], b"\xff\xd8\xff\xe0" * 100)
def test_any_raw_file_is_raw_or_what_it_says(kind, changes, rest):
    data = bytearray(KINDS[kind])
    for place, value in changes:
        data[int(place * len(data))] = value
    for choice in ("refuse", "preview"):
        with pytest.raises(ImageRejected) as rejected:
            decode(bytes(data) + rest, ResampleOptions(raw=choice), LIMITS)
        assert rejected.value.detail


@given(st.sampled_from([b"II*\0", b"MM\0*", b"IIU\0", b"FUJIFILMCCD-RAW "]), st.binary(max_size=400))
def test_any_bytes_are_looked_at_in_bounds(mark, rest):
    data = mark + rest
    assert len(list(directories(data))) <= 32
    found = raw.recognized(data)
    assert found is None or raw.preview(data, found) is None


def test_many_false_previews_cost_little():
    data = KINDS["DNG"] + b"\xff\xd8\xff\xe0" * 1_000_000
    assert rejection(data, raw="preview").reason is Reason.RAW
