"""PNG with metadata that is too large or broken: the picture counts, and memory stays bounded."""

import io
import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging import png
from image_retrieval.imaging.cicp import Cicp
from image_retrieval.imaging.decode import decode
from unit.imaging.pictures import LIMITS, encoded, photo, rgb_profile, shown

PHOTO = photo(96, 64)
PNG = encoded(PHOTO, "PNG")
DEEP = encoded(PHOTO.quantize(64), "PNG")  # which Pillow reads
MEGABYTES = bytes(3_000_000)


def chunk(kind: bytes, body: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def with_chunks(*chunks: bytes, data: bytes = PNG) -> bytes:
    """The PNG with chunks behind its header (8 + 25 bytes)."""
    return data[:33] + b"".join(chunks) + data[33:]


LARGE = [
    pytest.param([chunk(b"zTXt", b"workflow\0\0" + zlib.compress(MEGABYTES))], id="zTXt"),
    pytest.param([chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(MEGABYTES))], id="iTXt, compressed"),
    pytest.param([chunk(b"iTXt", b"workflow\0\0\0\0\0" + MEGABYTES)], id="iTXt"),
    pytest.param([chunk(b"tEXt", b"workflow\0" + MEGABYTES)], id="tEXt"),
    pytest.param([chunk(b"zTXt", b"k\0\0" + zlib.compress(MEGABYTES))] * 100, id="hundred zTXt"),
    pytest.param([chunk(b"tEXt", b"key\0value")] * 20_000, id="many chunks"),
    pytest.param([chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(MEGABYTES))], id="EXIF as text"),
    pytest.param([chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + MEGABYTES)], id="XMP"),
    pytest.param([chunk(b"prIV", MEGABYTES)], id="private"),
    pytest.param([chunk(b"iCCP", b"print\0\0" + zlib.compress(MEGABYTES))], id="profile of zeros"),
    pytest.param([chunk(b"iCCP", b"print\0\0" + zlib.compress(MEGABYTES * 10))], id="profile of 30 MB"),
]
WRONG = [
    pytest.param([chunk(kind, body, wrong=1)], id=kind.decode())
    for kind, body in {
        b"tEXt": b"key\0value",
        b"zTXt": b"key\0\0" + zlib.compress(b"value"),
        b"iTXt": b"key\0\0\0\0\0value",
        b"pHYs": bytes(9),
        b"gAMA": bytes(4),
        b"tIME": bytes(7),
        b"iCCP": b"print\0\0" + zlib.compress(rgb_profile(1.0)),
        b"cICP": bytes((9, 16, 0, 1)),
        b"eXIf": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0",
        b"prIV": b"whatever",
    }.items()
]
MALFORMED = [
    pytest.param([chunk(kind, body)], id=kind.decode() + " " + repr(body))
    for kind, body in (
        (b"pHYs", b""),
        (b"gAMA", b""),
        (b"sRGB", b""),
        (b"cICP", b"\1"),
        (b"iCCP", b""),
        (b"iCCP", b"name\0\7" + zlib.compress(b"other method")),
        (b"iCCP", b"name\0\0not folded"),
        (b"zTXt", b"Raw profile type exif\0\7"),
        (b"zTXt", b"Raw profile type exif\0\0not folded"),
        (b"tEXt", b""),
        (b"iTXt", b"\0"),
        (b"eXIf", b""),
    )
]


@pytest.mark.parametrize("data", [PNG, DEEP], ids=["RGB", "palette"])
@pytest.mark.parametrize("chunks", [*LARGE, *WRONG, *MALFORMED])
def test_metadata_costs_no_picture(chunks, data):
    found = decode(with_chunks(*chunks, data=data), ResampleOptions(), LIMITS)
    assert (found.width, found.height) == (96, 64)
    assert shown(with_chunks(*chunks, data=data)).tobytes() == shown(data).tobytes()


def test_metadata_behind_the_pixels_costs_no_picture():
    broken = chunk(b"zTXt", b"key\0\0" + zlib.compress(MEGABYTES), wrong=1)
    assert shown(PNG[:-12] + broken + PNG[-12:]) == PHOTO


def test_memory_stays_bounded():
    data = with_chunks(*[chunk(b"iCCP", b"print\0\0" + zlib.compress(bytes(200_000_000)))] * 3)
    tracemalloc.start()
    assert png.stripped(data).profile is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * png.MOST_PROFILE


def test_a_large_profile_is_applied():
    grey = encoded(Image.new("RGB", (8, 8), (55, 55, 55)), "PNG")
    profile = rgb_profile(1.0)
    data = with_chunks(chunk(b"iCCP", b"print\0\0" + zlib.compress(profile + bytes(2_000_000))), data=grey)
    assert shown(data).getpixel((4, 4)) == pytest.approx((128, 128, 128), abs=1)


def test_a_picture_without_metadata_is_not_copied():
    assert png.stripped(PNG).data is PNG
    assert shown(PNG) == PHOTO


def test_what_tells_which_way_is_up_stays():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(PHOTO, "PNG", exif=exif), ResampleOptions(), LIMITS).orientation == 6
    text = exif.tobytes().removeprefix(b"Exif\0\0")
    raw = b"\nexif\n%8d\n%s\n" % (len(text), text.hex().encode())
    data = with_chunks(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)))
    assert decode(data, ResampleOptions(), LIMITS).orientation == 6


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT", b"PLTE", b"tRNS"])
def test_a_wrong_checksum_of_what_pixels_need_is_undecodable(kind):
    picture = Image.new("P", (64, 64))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    data = bytearray(encoded(picture, "PNG", transparency=1))
    at = data.index(kind)
    data[at + 4 + int.from_bytes(data[at - 4 : at], "big")] ^= 1
    with pytest.raises(ImageRejected) as rejected:
        decode(bytes(data), ResampleOptions(), LIMITS)
    assert rejected.value.reason is Reason.UNDECODABLE


@pytest.mark.parametrize("data", [PNG, DEEP], ids=["RGB", "palette"])
@pytest.mark.parametrize("before_end", [0, 8, 40])
def test_a_changed_bit_of_the_pixels_is_undecodable(data, before_end):
    start = data.index(b"IDAT")
    at = start + 4 + int.from_bytes(data[start - 4 : start], "big") - before_end
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(ImageRejected) as rejected:
        decode(changed, ResampleOptions(), LIMITS)
    assert rejected.value.reason is Reason.UNDECODABLE
    assert decode(changed, ResampleOptions(truncated="accept"), LIMITS).width == 96


def test_a_cut_within_the_pixels_is_truncated():
    data = with_chunks(chunk(b"tEXt", b"key\0value"))
    with pytest.raises(ImageRejected) as rejected:
        decode(data[: len(data) // 2], ResampleOptions(), LIMITS)
    assert rejected.value.reason is Reason.TRUNCATED


def test_frames_stay():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    broken = with_chunks(chunk(b"tEXt", b"key\0value", wrong=1), data=data)
    assert shown(broken, frame="last").getpixel((4, 4)) == (0, 0, 255)


def test_code_points_are_read():
    assert png.stripped(with_chunks(chunk(b"cICP", bytes((9, 16, 0, 1))))).cicp == Cicp(9, 16)


@given(st.lists(st.tuples(st.sampled_from([b"tEXt", b"zTXt", b"iCCP", b"cICP", b"eXIf", b"abCd"]), st.binary())))
def test_any_metadata_costs_no_picture(chunks):
    data = with_chunks(*(chunk(kind, body, wrong=len(body) % 2) for kind, body in chunks))
    assert decode(data, ResampleOptions(), LIMITS).width == 96


@given(st.binary(max_size=300))
def test_any_bytes_are_stripped(rest):
    found = png.stripped(png.SIGNATURE + rest)
    assert found.data.startswith(png.SIGNATURE)
    assert len(found.data) <= len(rest) + 8
    assert png.stripped(found.data).data == found.data


def test_stripping_keeps_what_pillow_sees():
    data = with_chunks(chunk(b"tEXt", b"key\0value"), chunk(b"tIME", bytes(7)))
    with Image.open(io.BytesIO(png.stripped(data).data)) as image:
        assert image.convert("RGB").tobytes() == PHOTO.tobytes()
        assert image.info == {}


def test_the_checksum_within_a_chunk_need_not_be_right():
    at = PNG.index(b"IDAT") - 4
    length = struct.unpack(">I", PNG[at : at + 4])[0]
    pixels = bytearray(PNG[at + 8 : at + 8 + length])
    pixels[-1] ^= 1  # the last byte of zlib's own checksum
    assert shown(PNG[:at] + chunk(b"IDAT", bytes(pixels)) + PNG[at + 12 + length :]) == PHOTO
