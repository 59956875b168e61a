"""Pictures as other people would have them: a part, a re-encoded copy, other colours. Each must find its original."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance

Rng = np.random.Generator
MOST_CUT = 0.55  # of the area
QUALITY = 30
SMALLER = 0.5  # in each direction


def crop(picture: Image.Image, rng: Rng) -> Image.Image:
    """A part of 45 to 80 % of the area, in nearly the same proportions."""
    share, ratio = rng.uniform(1 - MOST_CUT, 0.8), np.exp(rng.uniform(-0.15, 0.15))
    width = min(picture.width, max(1, round(picture.width * np.sqrt(share * ratio))))
    height = min(picture.height, max(1, round(picture.height * np.sqrt(share / ratio))))
    left, upper = rng.integers(0, picture.width - width + 1), rng.integers(0, picture.height - height + 1)
    return picture.crop((int(left), int(upper), int(left) + width, int(upper) + height))


def re_encoding(picture: Image.Image, rng: Rng) -> Image.Image:  # noqa: ARG001  they have one form
    """At half the size, as a JPEG of low quality."""
    small = picture.resize([max(8, round(side * SMALLER)) for side in picture.size], Image.Resampling.BICUBIC)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    with Image.open(file) as opened:
        return opened.convert("RGB")


def colour_shift(picture: Image.Image, rng: Rng) -> Image.Image:
    """Brighter or darker, of more or less contrast and colour, and warmer or colder."""
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = change(picture).enhance(float(rng.uniform(0.6, 1.4)))
    balance = rng.uniform(0.85, 1.15, 3)
    return Image.fromarray(np.clip(np.asarray(picture, np.float32) * balance, 0, 255).astype(np.uint8))


VARIATIONS: dict[str, Callable[[Image.Image, Rng], Image.Image]] = {
    "crop": crop,
    "re_encoding": re_encoding,
    "colour_shift": colour_shift,
}
