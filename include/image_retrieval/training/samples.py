"""Scenes as arrays: drawn once, at the size that the models read."""

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import Layout, lay_out

SIDE = 112
SPLIT = 1_000_000  # seeds from here on are for training; the demo, tests and measurements use smaller ones
SCALE = 0.35  # of drawing: a shorter side of 112 to 140 pixels


@dataclass(frozen=True, slots=True)
class Samples:
    """`pixels` are uint8 (scenes, SIDE, SIDE, 3), of the layout at the same place."""

    pixels: NDArray[np.uint8]
    layouts: list[Layout]


def draw_samples(count: int, seed: int) -> Samples:
    """Training scenes: the first ones of a seed that nothing else uses."""
    seed += SPLIT
    layouts = [lay_out(number, seed) for number in range(count)]
    pixels = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for number, layout in enumerate(layouts):
        image = draw(layout, random.Random(f"{seed}-{number}-drawn"), SCALE)
        pixels[number] = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return Samples(pixels, layouts)
