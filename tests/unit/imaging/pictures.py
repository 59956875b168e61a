"""Pictures that the tests of decoding and resampling draw."""

import io
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
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
    chance = np.random.default_rng(0)
    total = np.full((height, width, 3), 128.0)
    for side, strength in ((4, 90), (16, 40), (64, 15), (200, 5)):
        for channel in range(3):
            noise = Image.fromarray(chance.normal(0, strength, (side, side)).astype(np.float32))
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
    """A photo of 64×48 in any accepted format."""
    if format == "HEIF":  # the decoder of the library cannot write
        return heic(photo(64, 48))
    if format == "MPO":
        return encoded(photo(64, 48), format, save_all=True, append_images=[photo(64, 48)])
    return encoded(photo(64, 48), format, **({"sizes": [(64, 48)]} if format == "ICO" else {}))


def heic(image: Image.Image, **options: Any) -> bytes:
    target = io.BytesIO()
    pillow_heif.from_pillow(image).save(target, quality=95, **options)
    return target.getvalue()
