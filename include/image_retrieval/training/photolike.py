"""Random pictures with some statistics of photographs: textures, lights, blobs and leaves.

Overlapping leaves have the edges and scales of natural pictures (Lee, Mumford and Huang 2001), and a model can learn to
see from them (Baradad et al. 2021).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.training.samples import SIDE

OCTAVES = (2, 4, 8, 16, 32, 64)


def draw_clouds(count: int, seed: int) -> NDArray[np.uint8]:
    """uint8 (count, SIDE, SIDE, 3) without an edge."""
    rng = np.random.default_rng(seed)
    return np.stack([_lit(_clouds(rng), rng) for _ in range(count)])


def draw_leaves(count: int, seed: int) -> NDArray[np.uint8]:
    """uint8 (count, SIDE, SIDE, 3); two in five of clouds, and few of them gaudy."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        picture = _clouds(rng) if rng.uniform() < 0.4 else _leaves(rng)
        grey = picture.mean(axis=2, keepdims=True)
        pictures.append(_lit(grey + rng.uniform(0.1, 1) * (picture - grey), rng))
    return np.stack(pictures)


def _lit(picture: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    light = 1 + 0.25 * rng.uniform(0, 1) * _noise(rng, falloff=1.8)
    return np.clip(picture * light[..., None] * 255, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator) -> NDArray[np.float64]:
    """Clouds of other matter on a ground."""
    picture = _coloured(rng)
    for _ in range(rng.integers(0, 5)):
        inside = _noise(rng, falloff=rng.uniform(0.9, 1.5)) > rng.uniform(0.2, 1.2)
        picture = np.where(inside[..., None], _coloured(rng), picture)
    return picture


def _leaves(rng: np.random.Generator) -> NDArray[np.float64]:
    """Ellipses, boxes and diamonds of a few matters upon each other, their sizes after a power law."""
    matters = [_coloured(rng) for _ in range(rng.integers(1, 5))]
    picture = matters[0].copy()
    least, most = rng.uniform(2, 10), rng.uniform(15, 90)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for _ in range(int(np.exp(rng.uniform(np.log(4), np.log(160))))):
        share = rng.uniform()
        size = 1 / np.sqrt(share / least**2 + (1 - share) / most**2)  # density as size ** -3
        turn, (middle, level) = rng.uniform(0, np.pi), rng.uniform(0, SIDE, 2)
        x = ((columns - middle) * np.cos(turn) + (rows - level) * np.sin(turn)) / size
        y = ((rows - level) * np.cos(turn) - (columns - middle) * np.sin(turn)) / (size * rng.uniform(0.15, 1))
        corners = rng.choice((1, 2, 2, 8))  # exponent: a diamond, an ellipse, a box
        inside = np.abs(x) ** corners + np.abs(y) ** corners < 1
        matter = np.roll(matters[rng.integers(len(matters))], rng.integers(0, SIDE, 2), (0, 1))
        tint = rng.uniform(0.3, 1.3, 3) if rng.uniform() < 0.3 else rng.uniform(0.4, 1.4)
        shade = 1 + 0.4 * rng.uniform(-1, 1) * x[inside]
        picture[inside] = matter[inside] * tint * shade[:, None]
    return picture


def _coloured(rng: np.random.Generator) -> NDArray[np.float64]:
    """Fractal noise between two or three colours."""
    weight = 1 / (1 + np.exp(-1.5 * _noise(rng, falloff=rng.uniform(0.4, 1.4))))
    other = 1 / (1 + np.exp(-1.5 * _noise(rng, falloff=rng.uniform(0.4, 1.4))))
    first, second, third = rng.uniform(0.02, 0.98, (3, 3))
    mixed = first * weight[..., None] + second * (1 - weight[..., None])
    share = rng.uniform(0, 1) * other[..., None]
    coloured: NDArray[np.float64] = mixed * (1 - share) + third * share
    return coloured


def _noise(rng: np.random.Generator, falloff: float) -> NDArray[np.float64]:
    """Noise (SIDE, SIDE) of mean 0 and deviation 1, whose octaves weaken by 2 ** -falloff."""
    field = np.zeros((SIDE, SIDE))
    stretch = rng.choice((0.5, 1.0, 1.0, 2.0))  # grass and water have a direction
    for octave, cells in enumerate(OCTAVES):
        rows, columns = max(2, int(cells * stretch)), max(2, int(cells / stretch))
        grid = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        grown = grid.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        field += np.asarray(grown) * 2.0 ** (-falloff * octave)
    even: NDArray[np.float64] = (field - field.mean()) / field.std()
    return even
