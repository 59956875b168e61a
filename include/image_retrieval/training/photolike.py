"""Pictures with something of a photograph's statistics, of random numbers alone: textures, lights and blobs."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.training.samples import SIDE

OCTAVES = (2, 4, 8, 16, 32, 64)


def draw_photolike(count: int, seed: int) -> NDArray[np.uint8]:
    """uint8 (count, SIDE, SIDE, 3)."""
    chance = np.random.default_rng(seed)
    return np.stack([_picture(chance) for _ in range(count)])


def _picture(chance: np.random.Generator) -> NDArray[np.uint8]:
    picture = _coloured(chance)
    for _ in range(chance.integers(0, 5)):  # regions of other matter
        inside = _noise(chance, falloff=chance.uniform(0.9, 1.5)) > chance.uniform(0.2, 1.2)
        picture = np.where(inside[..., None], _coloured(chance), picture)
    light = 1 + 0.25 * chance.uniform(0, 1) * _noise(chance, falloff=1.8)
    return np.clip(picture * light[..., None] * 255, 0, 255).astype(np.uint8)


def _coloured(chance: np.random.Generator) -> NDArray[np.float64]:
    """Fractal noise between two or three colours."""
    weight = 1 / (1 + np.exp(-1.5 * _noise(chance, falloff=chance.uniform(0.4, 1.4))))
    other = 1 / (1 + np.exp(-1.5 * _noise(chance, falloff=chance.uniform(0.4, 1.4))))
    first, second, third = chance.uniform(0.02, 0.98, (3, 3))
    mixed = first * weight[..., None] + second * (1 - weight[..., None])
    share = chance.uniform(0, 1) * other[..., None]
    coloured: NDArray[np.float64] = mixed * (1 - share) + third * share
    return coloured


def _noise(chance: np.random.Generator, falloff: float) -> NDArray[np.float64]:
    """Noise (SIDE, SIDE) of mean 0 and deviation 1, whose octaves weaken by 2 ** -falloff."""
    field = np.zeros((SIDE, SIDE))
    stretch = chance.choice((0.5, 1.0, 1.0, 2.0))  # grass and water have a direction
    for octave, cells in enumerate(OCTAVES):
        rows, columns = max(2, int(cells * stretch)), max(2, int(cells / stretch))
        grid = Image.fromarray(chance.standard_normal((rows, columns)).astype(np.float32))
        grown = grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        field += np.asarray(grown) * 2.0 ** (-falloff * octave)
    even: NDArray[np.float64] = (field - field.mean()) / field.std()
    return even
