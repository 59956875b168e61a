"""Synthetic photographs: scenes of shapes whose likeness is known, the same from the same seed.

A scene's class is its shape and its hue; count, sizes, positions, texture and background vary inside a class. Every
eighth scene comes with a near-duplicate: the same picture, slightly cropped and encoded again.
"""

import io
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "star", "ring")
HUES = {
    "red": (205, 45, 50),
    "green": (50, 150, 70),
    "blue": (45, 85, 190),
    "yellow": (230, 190, 50),
    "purple": (125, 60, 155),
    "orange": (230, 120, 40),
}
TEXTURES = ("plain", "striped", "dotted")
SIZES = ((480, 360), (360, 480), (400, 400), (640, 360))
OVERSAMPLING = 2  # drawn at this scale, then reduced: smooth edges
NEAR_DUPLICATE_EVERY = 8


@dataclass(frozen=True, slots=True)
class Scene:
    """An encoded picture. `key` is `<class>/<number>.<suffix>`; the key of a near-duplicate ends in `_again`."""

    key: str
    data: bytes


def draw_scenes(count: int, seed: int = 0) -> Iterator[Scene]:
    """So many scenes and near-duplicates of some of them, `count` in all."""
    made, number = 0, 0
    while made < count:
        shape = SHAPES[number % len(SHAPES)]
        hue = list(HUES)[(number // len(SHAPES)) % len(HUES)]
        chance = random.Random(f"{seed}-{number}")
        image = _draw(shape, HUES[hue], chance)
        suffix = (".jpg", ".jpg", ".png", ".webp")[number % 4]
        yield Scene(f"{hue}-{shape}/{number:04}{suffix}", _encoded(image, suffix))
        made += 1
        if number % NEAR_DUPLICATE_EVERY == 0 and made < count:
            margin = image.width // 50
            again = image.crop((margin, margin, image.width - margin, image.height - margin))
            yield Scene(f"{hue}-{shape}/{number:04}_again.jpg", _encoded(again, ".jpg", quality=70))
            made += 1
        number += 1


def _encoded(image: Image.Image, suffix: str, quality: int = 88) -> bytes:
    target = io.BytesIO()
    image.save(target, {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}[suffix], quality=quality)
    return target.getvalue()


def _draw(shape: str, hue: tuple[int, int, int], chance: random.Random) -> Image.Image:
    width, height = chance.choice(SIZES)
    size = (width * OVERSAMPLING, height * OVERSAMPLING)
    image = _background(size, chance)
    for _ in range(chance.randint(1, 5)):
        radius = int(chance.uniform(0.10, 0.24) * min(size))
        centre = (chance.randint(radius, size[0] - radius), chance.randint(radius, size[1] - radius))
        mask = _mask(shape, radius, chance.uniform(0, 2 * math.pi))
        shade = tuple(min(255, max(0, channel + chance.randint(-25, 25))) for channel in hue)
        corner = (centre[0] - radius, centre[1] - radius)
        image.paste(_texture(chance.choice(TEXTURES), shade, radius), corner, mask)
    return image.reduce(OVERSAMPLING)


def _background(size: tuple[int, int], chance: random.Random) -> Image.Image:
    top, bottom = (tuple(chance.randint(150, 245) for _ in range(3)) for _ in range(2))
    ramp = Image.linear_gradient("L").rotate(chance.choice((0, 90, 180, 270))).resize(size, Image.Resampling.BILINEAR)
    image = Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)
    draw = ImageDraw.Draw(image)
    for _ in range(chance.randint(3, 9)):  # faint lines, so that no background is a mere gradient
        ends = [(chance.randint(0, size[0]), chance.randint(0, size[1])) for _ in range(2)]
        draw.line(ends, fill=tuple(chance.randint(120, 230) for _ in range(3)), width=chance.randint(2, 8))
    return image


def _mask(shape: str, radius: int, turn: float) -> Image.Image:
    mask = Image.new("L", (2 * radius + 1, 2 * radius + 1))
    draw = ImageDraw.Draw(mask)
    if shape in ("circle", "ring"):
        draw.ellipse((0, 0, 2 * radius, 2 * radius), fill=255)
        if shape == "ring":
            band = radius * 45 // 100
            draw.ellipse((band, band, 2 * radius - band, 2 * radius - band), fill=0)
    else:
        draw.polygon(_corners(shape, radius, turn), fill=255)
    return mask


def _corners(shape: str, radius: int, turn: float) -> list[tuple[float, float]]:
    count = {"triangle": 3, "square": 4, "star": 10}[shape]
    radii = [radius * (0.45 if shape == "star" and corner % 2 else 1.0) for corner in range(count)]
    angles = [turn + 2 * math.pi * corner / count for corner in range(count)]
    return [
        (radius + length * math.cos(angle), radius + length * math.sin(angle))
        for length, angle in zip(radii, angles, strict=True)
    ]


def _texture(name: str, shade: tuple[int, ...], radius: int) -> Image.Image:
    side = 2 * radius + 1
    image = Image.new("RGB", (side, side), shade)
    draw = ImageDraw.Draw(image)
    light = tuple((channel + 2 * 255) // 3 for channel in shade)
    step = max(6, radius // 4)
    if name == "striped":
        for x in range(0, side, 2 * step):
            draw.rectangle((x, 0, x + step // 2, side), fill=light)
    elif name == "dotted":
        for y in range(0, side, 2 * step):
            for x in range(0, side, 2 * step):
                draw.ellipse((x, y, x + step // 2, y + step // 2), fill=light)
    return image
