"""Scenes as files, with their captions."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from image_retrieval.scenes.captions import Caption, captions
from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import Layout, lay_out

NEAR_DUPLICATE_EVERY = 8
FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}


@dataclass(frozen=True, slots=True)
class Scene:
    """An encoded picture, its content, and its captions, from the shortest to a complete one.

    `key` is `<class>/<number>.<suffix>`; the key of a near-duplicate ends in `_again`.
    """

    key: str
    data: bytes
    layout: Layout
    captions: tuple[Caption, ...]


def draw_scenes(count: int, seed: int = 0) -> Iterator[Scene]:
    """So many scenes, `count` in all; every eighth is followed by a near-duplicate, cropped and encoded anew."""
    made, number = 0, 0
    while made < count:
        layout = lay_out(number, seed)
        rng = random.Random(f"{seed}-{number}-drawn")
        image = draw(layout, rng)
        described = captions(layout, rng)
        stem = f"{layout.main.hue}-{layout.main.shape}/{number:04}"
        suffix = (".jpg", ".jpg", ".png", ".webp")[number % 4]
        yield Scene(stem + suffix, _encoded(image, suffix), layout, described)
        made += 1
        if number % NEAR_DUPLICATE_EVERY == 0 and made < count:
            margin = image.width // 50
            again = image.crop((margin, margin, image.width - margin, image.height - margin))
            yield Scene(f"{stem}_again.jpg", _encoded(again, ".jpg", quality=70), layout, described)
            made += 1
        number += 1


def _encoded(image: Image.Image, suffix: str, quality: int = 88) -> bytes:
    target = io.BytesIO()
    image.save(target, FORMATS[suffix], quality=quality)
    return target.getvalue()
