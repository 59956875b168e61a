"""Alters a picture as copies of pictures are: a part of it, mirrored, recoloured, encoded again."""

import io
import random

from PIL import Image, ImageEnhance

LEAST_AREA, MOST_AREA = 0.8, 0.95  # share of the picture that is kept
COLOUR, LIGHT = 0.3, 0.2  # by how much colour and brightness change at most
LEAST_QUALITY, MOST_QUALITY = 50, 85  # of JPEG


def altered(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A copy of an RGB picture, of the same size: a part, half of the time mirrored, in other colours, through JPEG."""
    side = rng.uniform(LEAST_AREA, MOST_AREA) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    copy = picture.resize(picture.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    if rng.random() < 0.5:
        copy = copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    copy = ImageEnhance.Color(copy).enhance(rng.uniform(1 - COLOUR, 1 + COLOUR))
    copy = ImageEnhance.Brightness(copy).enhance(rng.uniform(1 - LIGHT, 1 + LIGHT))
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=rng.randint(LEAST_QUALITY, MOST_QUALITY))
    return Image.open(file).convert("RGB")
