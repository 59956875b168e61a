"""Pictures for HDR displays are brought to sRGB by their transfer function; of gain maps the base image counts."""

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.cicp import HLG, PQ, Cicp, to_srgb
from image_retrieval.imaging.decode import decode
from image_retrieval.imaging.resample import resample
from unit.imaging.pictures import LIMITS, array, encoded, heic, photo, psnr, shown

WHITE_NITS = 203  # BT.2408
MID_GREY_NITS = WHITE_NITS * 0.2140  # 128 of sRGB
BLACK = (0, 0, 0)


def pq(nits: float) -> float:
    """SMPTE ST 2084, written out anew: what the product undoes."""
    y = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def hlg(nits: float) -> float:
    """BT.2100's OETF of a grey that a display of 1,000 nits shows so."""
    scene = (nits / 1000) ** (1 / 1.2)
    return float(np.sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def grey(value: float, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), (round(255 * value),) * 3)


def heic_of(image: Image.Image, primaries: int, transfer: int, **options: object) -> bytes:
    codes = {"color_primaries": primaries, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    return heic(image, **codes, full_range_flag=1, save_nclx_profile=True, **options)


def avif_of(image: Image.Image, primaries: int, transfer: int) -> bytes:
    """By Pillow, which writes the code points of sRGB."""
    data = encoded(image, "AVIF", quality=95, subsampling="4:4:4")
    place = data.index(b"colrnclx") + 8
    return data[:place] + struct.pack(">HH", primaries, transfer) + data[place + 4 :]


def png_of(image: Image.Image, primaries: int, transfer: int) -> bytes:
    data = encoded(image, "PNG")
    body = b"cICP" + bytes((primaries, transfer, 0, 1))
    return data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]


@pytest.mark.parametrize("write", [heic_of, avif_of, png_of])
@pytest.mark.parametrize(("transfer", "curve"), [(PQ, pq), (HLG, hlg)])
@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_mid_grey_is_mid_grey(write, transfer, curve, primaries):
    found = shown(write(grey(curve(MID_GREY_NITS)), primaries, transfer)).getpixel((32, 32))
    assert found == pytest.approx((128,) * 3, abs=3)


def test_10_bits_are_read():
    values = np.full((64, 64, 3), round(65535 * pq(MID_GREY_NITS)), np.uint16)
    codes = {"color_primaries": 9, "transfer_characteristics": PQ, "matrix_coefficients": 9, "full_range_flag": 1}
    target = io.BytesIO()
    file = pillow_heif.from_bytes("RGB;16", (64, 64), values.tobytes())
    file.save(target, quality=95, **codes, save_nclx_profile=True)
    stored = pillow_heif.open_heif(io.BytesIO(target.getvalue()), convert_hdr_to_8bit=False)
    assert stored.info["bit_depth"] in (10, 12)
    assert shown(target.getvalue()).getpixel((32, 32)) == pytest.approx((128,) * 3, abs=3)


def test_greys_keep_their_order_up_to_white():
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (1, 1, 3)))
    for transfer, curve in ((PQ, pq), (HLG, hlg)):
        values = array(to_srgb(ramp, Cicp(9, transfer)))[0, :, 0]
        assert (np.diff(values) >= 0).all()
        assert values[0] == 0
        assert values[-1] >= 254
        assert 215 <= values[round(255 * curve(WHITE_NITS))] <= 235  # paper; highlights have what is above


def test_hues_stay():
    """A saturated colour keeps its hue when it is far brighter than white."""
    bright = Image.new("RGB", (1, 1), tuple(round(255 * pq(nits)) for nits in (900, 300, 100)))
    red, green, blue = to_srgb(bright, Cicp(1, PQ)).getpixel((0, 0))
    light = [((value / 255 + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    assert light[0] / light[1] == pytest.approx(3, rel=0.1)
    assert light[1] / light[2] == pytest.approx(3, rel=0.1)


def test_a_large_picture_is_converted_in_parts():
    image = photo(1024, 1040)
    found, part = to_srgb(image, Cicp(9, PQ)), to_srgb(image.crop((0, 1000, 1024, 1040)), Cicp(9, PQ))
    assert found.crop((0, 1000, 1024, 1040)).tobytes() == part.tobytes()


def test_transparent_pictures_are_converted_before_the_background_is_laid_under():
    layer = grey(pq(MID_GREY_NITS))
    layer.putalpha(128)
    assert shown(png_of(layer, 9, PQ), background=BLACK).getpixel((8, 8)) == pytest.approx((64,) * 3, abs=2)


@pytest.mark.parametrize("codes", [(1, 13), (1, 1), (2, 2), (1, 6)])
def test_pictures_of_srgb_stay_as_they_are(codes):
    assert shown(png_of(photo(64, 48), *codes)).tobytes() == photo(64, 48).tobytes()


def test_code_points_of_png_go_before_its_profile():
    data = encoded(grey(pq(MID_GREY_NITS)), "PNG", icc_profile=b"whatever")
    body = b"cICP" + bytes((9, PQ, 0, 1))
    data = data[:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + data[33:]
    assert shown(data).getpixel((8, 8)) == pytest.approx((128,) * 3, abs=3)


def test_the_fingerprint_sees_the_picture_as_it_is_shown():
    sdr = photo(256, 256)
    light = ((array(sdr) / 255 + 0.055) / 1.055) ** 2.4 * WHITE_NITS * 0.35
    hdr = Image.fromarray((np.vectorize(pq)(light) * 255 + 0.5).astype(np.uint8))
    found, wanted = (resample(data, ResampleOptions(), LIMITS) for data in (png_of(hdr, 1, PQ), encoded(sdr, "PNG")))
    assert (found.phash ^ wanted.phash).bit_count() <= 4


def ultra_hdr(base: Image.Image, gain: Image.Image, name: bytes) -> bytes:
    """A JPEG with a gain map behind it, listed as a further picture, and the metadata that says what that is."""
    data = encoded(base, "MPO", quality=95, save_all=True, append_images=[gain])
    body = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:hdrgm='" + name + b"' hdrgm:Version='1.0'/>"
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
    at = data.index(b"\xff\xdb")  # behind the segment that lists the pictures, whose offsets count from itself
    return data[:at] + segment + data[at:]


@pytest.mark.parametrize("frame", ["first", "middle", "last"])
@pytest.mark.parametrize(
    "name",
    [
        b"http://ns.adobe.com/hdr-gain-map/1.0/",
        b"urn:iso:std:iso:ts:21496:-1",
        b"urn:com:apple:photo:2020:aux:hdrgainmap",
    ],
)
def test_a_gain_map_is_no_picture(name, frame):
    base = photo(96, 64)
    data = ultra_hdr(base, Image.new("RGB", (24, 16), "gray"), name)
    assert decode(data, ResampleOptions(frame=frame), LIMITS).width == 96
    assert psnr(shown(data, frame=frame).tobytes(), base.tobytes()) > 25  # the gain map, enlarged: below 15
