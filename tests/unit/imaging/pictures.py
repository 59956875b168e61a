"""Pictures that the tests of decoding and resampling draw."""

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

MANY_PIXELS = 50_000_000


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, format, **options)
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
