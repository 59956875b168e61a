"""Pictures of hard edges, at which filters overshoot."""

import numpy as np
from PIL import Image, ImageDraw


def checkerboard(width: int, height: int, side: int) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    return Image.fromarray(((rows // side + columns // side) % 2 * 255).astype(np.uint8)).convert("RGB")


def text(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "white")
    for row in range(0, height, 14):
        ImageDraw.Draw(image).text(
            (2, row), "The quick brown fox jumps over the lazy dog 0123456789 " * 3, fill="black"
        )
    return image


def line_art(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (width, height), "white")
    for _ in range(80):
        ends = rng.integers(0, (width, height), (2, 2)).flatten().tolist()
        ImageDraw.Draw(image).line(ends, fill=tuple(rng.choice([0, 255], 3).tolist()))
    return image


def black_or_white(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * height)
    return Image.fromarray((rng.integers(0, 2, (height, width, 3)) * 255).astype(np.uint8))
