"""Alters a picture as copies of pictures are: a part of it, mirrored, recoloured, encoded again."""

import io

import numpy as np
from PIL import Image, ImageEnhance

LEAST_AREA, MOST_AREA = 0.8, 0.95  # share of the picture that is kept
COLOUR, LIGHT = 0.3, 0.2  # by how much colour and brightness change at most
LEAST_QUALITY, MOST_QUALITY = 50, 85  # of JPEG
Choices = tuple[float, float, float, float, float, float, float]


def choices(count: int) -> list[Choices]:
    """How so many pictures are altered: for each property, the values are spread evenly, and mixed with the others.

    The same each time: so a few pictures tell as much as many that are altered at random (Latin hypercube sampling).
    """
    rng = np.random.default_rng(0)
    columns = [((rng.permutation(count) + 0.5) / max(1, count)).tolist() for _ in range(7)]
    return list(zip(*columns, strict=True))


def altered(picture: Image.Image, choice: Choices) -> Image.Image:
    """A copy of an RGB picture, of the same size: a part, half of the time mirrored, in other colours, through JPEG.

    `choice`: numbers of 0 to 1 for the part's area, its place across and down, mirroring, colour, light and quality.
    """
    area, across, down, mirror, colour, light, quality = choice
    side = _between(LEAST_AREA, MOST_AREA, area) ** 0.5
    width, height = max(1, round(picture.width * side)), max(1, round(picture.height * side))
    left, top = round((picture.width - width) * across), round((picture.height - height) * down)
    copy = picture.resize(picture.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    if mirror < 0.5:
        copy = copy.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    copy = ImageEnhance.Color(copy).enhance(_between(1 - COLOUR, 1 + COLOUR, colour))
    copy = ImageEnhance.Brightness(copy).enhance(_between(1 - LIGHT, 1 + LIGHT, light))
    file = io.BytesIO()
    copy.save(file, "JPEG", quality=round(_between(LEAST_QUALITY, MOST_QUALITY, quality)))
    return Image.open(file).convert("RGB")


def _between(least: float, most: float, share: float) -> float:
    return least + (most - least) * share
