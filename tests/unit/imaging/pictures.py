"""Pictures that the tests of decoding and resampling draw."""

import io
import struct
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
import pylibjxl
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.colour import to_srgb
from image_retrieval.imaging.decode import Limits, decode
from image_retrieval.imaging.exif import upright

LIMITS = Limits(pixels=50_000_000, frames=100)


def shown(data: bytes, **options: Any) -> Image.Image:
    """What a file shows: all its pixels, upright, in sRGB."""
    picture = decode(data, ResampleOptions(**options), LIMITS)
    return upright(to_srgb(picture.image, picture.profile), picture.orientation)


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    target = io.BytesIO()
    quick = {"compress_level": 1} if format == "PNG" else {}
    image.save(target, format, **{**quick, **options})
    return target.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@cache
def photo(width: int, height: int) -> Image.Image:
    """Smooth noise of many scales, as in a photograph: coarse and strong, fine and weak."""
    rng = np.random.default_rng(0)
    total = np.full((height, width, 3), 128.0)
    for side, strength in ((4, 90), (16, 40), (64, 15), (200, 5)):
        for channel in range(3):
            noise = Image.fromarray(rng.normal(0, strength, (side, side)).astype(np.float32))
            total[:, :, channel] += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))


def ramp() -> Image.Image:
    """Grey from 0 at the left to 255 at the right."""
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (16, 1)))


def array(pixels: bytes | Image.Image) -> "np.ndarray[Any, np.dtype[np.float64]]":
    flat = np.frombuffer(pixels, np.uint8) if isinstance(pixels, bytes) else np.asarray(pixels)
    return flat.astype(np.float64)


def psnr(found: bytes, wanted: bytes) -> float:
    """Likeness of two pictures in decibels."""
    error = np.mean((array(found) - array(wanted)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def written(format: str) -> bytes:
    """A photo of 64×48 in any accepted format; of an icon of macOS of 64×64."""
    if format == "JXL":  # as is Pillow
        return pylibjxl.encode(np.asarray(photo(64, 48)), lossless=True)
    if format == "PSD":
        return psd(photo(64, 48))
    if format == "ICNS":
        icon = encoded(photo(64, 64), "PNG")
        return struct.pack(">4sI4sI", b"icns", 16 + len(icon), b"icp6", 8 + len(icon)) + icon
    if format == "HEIF":  # the decoder of the library cannot write
        return heic(photo(64, 48))
    if format == "MPO":
        return encoded(photo(64, 48), format, save_all=True, append_images=[photo(64, 48)])
    return encoded(photo(64, 48), format, **({"sizes": [(64, 48)]} if format == "ICO" else {}))


def psd(image: Image.Image, mode: int = 3, layers: int = 0, resources: bytes = b"") -> bytes:
    """A Photoshop document of 8 bits a channel, of a mode (3 is RGB): its flat picture, and a number of layers."""
    bands = len(image.getbands())
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, bands, image.height, image.width, 8, mode) + bytes(4)
    section = struct.pack(">IIh2x", 8, 4, layers)
    return b"".join(
        (
            header,
            struct.pack(">I", len(resources)),
            resources,
            section,
            b"\0\0",
            *(band.tobytes() for band in image.split()),
        )
    )


def heic(image: Image.Image, **options: Any) -> bytes:
    target = io.BytesIO()
    pillow_heif.from_pillow(image).save(target, quality=95, **options)
    return target.getvalue()


def rgb_profile(gamma: float, name: str = "sRGB linear") -> bytes:
    """An ICC profile of sRGB's primaries with a plain gamma, under any name."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    primaries = {
        b"rXYZ": xyz(0.43607, 0.22249, 0.01392),
        b"gXYZ": xyz(0.38515, 0.71687, 0.09708),
        b"bXYZ": xyz(0.14307, 0.06061, 0.71410),
    }
    return _profile(b"RGB ", name, {**primaries, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))})


def grey_profile(gamma: float, name: str = "sRGB grey") -> bytes:
    """An ICC profile of grey with a plain gamma, under any name."""
    return _profile(b"GRAY", name, {b"kTRC": _curve(gamma)})


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + (struct.pack(">I", 0) if gamma == 1 else struct.pack(">IH", 1, round(gamma * 256)))


def _profile(space: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    """A display profile, version 2, which connects through XYZ."""
    text = name.encode() + b"\0"
    described = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0none\0", b"wtpt": white, **tags}
    table, values, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += struct.pack(">4sII", tag, at + len(values), len(value))
        values += value + bytes(-len(value) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", at + len(values), b"lcms", 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    header = header.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + values


def with_tag(profile: bytes, tag: bytes, value: bytes) -> bytes:
    """The ICC profile with one more tag, of its own type."""
    count = struct.unpack(">I", profile[128:132])[0]
    table, rest = profile[132 : 132 + 12 * count], profile[132 + 12 * count :]
    entries = [struct.unpack(">4sII", table[12 * place : 12 * place + 12]) for place in range(count)]
    shifted = b"".join(struct.pack(">4sII", name, offset + 12, length) for name, offset, length in entries)
    body = tag + bytes(4) + value
    offset = 132 + 12 * (count + 1) + len(rest)
    whole = profile[:128] + struct.pack(">I", count + 1) + shifted + struct.pack(">4sII", tag, offset, len(body))
    whole += rest + body
    return struct.pack(">I", len(whole)) + whole[4:]
