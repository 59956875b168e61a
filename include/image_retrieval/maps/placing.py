"""Places vectors on a map among anchors, vectors that are on it. Each one's position depends on nothing else."""

import numpy as np

from image_retrieval.maps.layout import Positions
from image_retrieval.maps.neighbours import Vectors, nearest

NEIGHBOURS = 10
STEPS = 8


def place(vectors: Vectors, anchors: Vectors, positions: Positions) -> Positions:
    """Positions (n, 2) of vectors of length 1 (n, dimensions) among anchors (m, dimensions) at positions (m, 2).

    A vector lies at the mean of its nearest anchors, weighted by how near they are. Anchors that lie far from the
    others on the map count less (a Cauchy estimate), so that no vector ends up between two groups.
    """
    rows, cosines = nearest(vectors, anchors, NEIGHBOURS)
    distances = np.maximum(0, 2 - 2 * cosines.astype(np.float64))
    first, middle = distances[:, :1], distances[:, distances.shape[1] // 2][:, None]
    near = np.exp((first - distances) / np.maximum(middle - first, 1e-6))[..., None]
    around = positions[rows]
    found = around[:, 0]
    for _ in range(STEPS):
        away = ((around - found[:, None]) ** 2).sum(axis=2, keepdims=True)
        weights = near / (1 + away / np.maximum(np.median(away, axis=1, keepdims=True), 1e-12))
        found = (weights * around).sum(axis=1) / weights.sum(axis=1)
    return found
