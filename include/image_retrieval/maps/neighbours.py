"""Nearest neighbours among vectors of length 1, exactly, a block at a time."""

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
BLOCK = 512  # vectors that are compared with all others at once


def nearest(vectors: Vectors, among: Vectors, k: int, *, itself: bool = False) -> tuple[Rows, Vectors]:
    """The k nearest of `among` (m, dimensions) to each vector (n, dimensions), and their cosines: both (n, k).

    The nearest comes first. With `itself`, both are the same vectors, and none is its own neighbour.
    """
    k = min(k, len(among) - itself)
    rows, cosines = np.empty((len(vectors), k), np.int64), np.empty((len(vectors), k), np.float32)
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK] @ among.T
        if itself:
            np.fill_diagonal(block[:, start:], -np.inf)
        found = (
            np.argpartition(block, -k, axis=1)[:, -k:]
            if k < block.shape[1]
            else np.arange(k)[None].repeat(len(block), 0)
        )
        alike = np.take_along_axis(block, found, axis=1)
        order = np.lexsort((found, -alike), axis=1)
        rows[start : start + BLOCK] = np.take_along_axis(found, order, axis=1)
        cosines[start : start + BLOCK] = np.take_along_axis(alike, order, axis=1)
    return rows, cosines
