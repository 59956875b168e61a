"""Lays vectors out in the plane so that neighbours stay neighbours.

The method is PaCMAP: Wang, Huang, Rudin and Shaposhnik, "Understanding How Dimension Reduction Tools Work", Journal of
Machine Learning Research 22 (2021), with its pairs, losses, weights and number of steps.
"""

import math

import numpy as np
from numpy.typing import NDArray

from image_retrieval.maps.neighbours import Rows, Vectors, nearest

Positions = NDArray[np.float64]
Known = NDArray[np.bool_]
NEIGHBOURS, MIDDLE, FURTHER = 10, 5, 20  # pairs of each vector
CANDIDATES = 30  # nearest vectors of which the neighbours are chosen
DRAWN = 6  # vectors of which the second nearest is a pair of middle distance
STEPS = (100, 100, 250)
SMALL, LARGE = 0.01, 10.0  # how large the layout is at first, and about how large it becomes
MARGIN = 0.02
AT_ONCE = 2000


def lay_out(vectors: Vectors, seed: int = 0, former: Positions | None = None) -> Positions:
    """Positions (n, 2) from 0 to 1 of vectors of length 1 (n, dimensions); the same ones for the same seed.

    `former`: positions (n, 2) that they had, or NaN. Then only the last steps are taken, which move neighbours, and the
    layout is turned to lie on the former one.
    """
    rng = np.random.default_rng(seed)
    known: Known = np.asarray([] if former is None else np.isfinite(former).all(axis=1), bool)
    pairs = _neighbours(vectors), _middle(vectors, rng), rng.integers(0, len(vectors), (len(vectors), FURTHER))
    if former is None or known.sum() <= 2:
        return fitted(_turned(_moved(SMALL * principal(vectors), *pairs)))
    laid = _moved(LARGE * _started(vectors, former, known), *pairs, first=sum(STEPS[:2]))
    return fitted(_on_former(laid, former, known), force=False)


def fitted(positions: Positions, *, force: bool = True) -> Positions:
    """The positions in the square from 0 to 1, in their proportions; without `force`, only if one is outside."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    if not force and low.min() >= 0 and high.max() <= 1:
        return positions
    scale = (1 - 2 * MARGIN) / max(1e-12, float((high - low).max()))
    found: Positions = 0.5 + (positions - (low + high) / 2) * scale
    return found


def principal(vectors: Vectors) -> Positions:
    """The first two principal components, of which each points where most of its length is."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, : -3 if axes.shape[1] > 2 else None : -1][:, :2]
    axes *= np.where(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])] < 0, -1, 1)
    found = np.zeros((len(vectors), 2))
    found[:, : axes.shape[1]] = centred @ axes
    return found


def _started(vectors: Vectors, former: Positions, known: Known) -> Positions:
    """The former positions; a vector without one gets that of its nearest vector that has one."""
    start = former.copy()
    if not known.all():
        rows, _ = nearest(vectors[~known], vectors[known], 1)
        start[~known] = former[known][rows[:, 0]]
    start -= start.mean(axis=0)
    start /= max(1e-12, float(start.std()))
    return start


def _neighbours(vectors: Vectors) -> Rows:
    """The neighbours of each vector (n, NEIGHBOURS), by distances in units of those to the fourth to sixth nearest."""
    rows, cosines = nearest(vectors, vectors, CANDIDATES, itself=True)
    distances = np.sqrt(np.maximum(0, 2 - 2 * cosines.astype(np.float64)))
    unit = np.maximum(distances[:, 3:6] if distances.shape[1] > 3 else distances, 1e-10).mean(axis=1)
    scaled = distances**2 / (unit[:, None] * unit[rows])
    order = np.argsort(scaled, axis=1, kind="stable")[:, :NEIGHBOURS]
    return np.take_along_axis(rows, order, axis=1)


def _middle(vectors: Vectors, rng: np.random.Generator) -> Rows:
    """The second nearest of DRAWN vectors, MIDDLE times for each (n, MIDDLE)."""
    drawn = rng.integers(0, len(vectors), (len(vectors), MIDDLE, DRAWN))
    found = np.empty((len(vectors), MIDDLE), np.int64)
    for start in range(0, len(vectors), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        for pair in range(MIDDLE):
            alike = np.einsum("nd,nkd->nk", vectors[part], vectors[drawn[part, pair]])
            second = np.argsort(-alike, axis=1, kind="stable")[:, 1]
            found[part, pair] = np.take_along_axis(drawn[part, pair], second[:, None], axis=1)[:, 0]
    return found


def _moved(positions: Positions, near: Rows, middle: Rows, further: Rows, first: int = 0) -> Positions:
    """The positions after all steps of Adam from the `first` on."""
    mean, square = np.zeros_like(positions), np.zeros_like(positions)
    for step in range(first, sum(STEPS)):
        to_near, to_middle = _weights(step)
        slope = _pull(positions, near, to_near, 10.0) - _pull(positions, further, 1.0, 1.0)
        if to_middle:
            slope += _pull(positions, middle, to_middle, 10_000.0)
        mean += 0.1 * (slope - mean)
        square += 0.001 * (slope**2 - square)
        taken = step - first + 1
        rate = math.sqrt(1 - 0.999**taken) / (1 - 0.9**taken)
        positions = positions - rate * mean / (np.sqrt(square) + 1e-7)
    return positions


def _weights(step: int) -> tuple[float, float]:
    """The weights of neighbours and of pairs of middle distance."""
    first, second, _ = STEPS
    if step < first:
        return 2.0, 1000 * (1 - step / first) + 3 * step / first
    return (3.0, 3.0) if step < first + second else (1.0, 0.0)


def _pull(positions: Positions, pairs: Rows, weight: float, constant: float) -> Positions:
    """The slope of the sum of d / (constant + d) over pairs (n, k), where d is 1 and the squared distance."""
    x, y = np.ascontiguousarray(positions[:, 0]), np.ascontiguousarray(positions[:, 1])
    across, down = x[:, None] - x[pairs], y[:, None] - y[pairs]
    force = weight * 2 * constant / (constant + 1 + across**2 + down**2) ** 2
    across *= force
    down *= force
    ends, count = pairs.ravel(), len(positions)
    return np.stack(
        [part.sum(axis=1) - np.bincount(ends, part.ravel(), minlength=count) for part in (across, down)], axis=1
    )


def _turned(positions: Positions) -> Positions:
    """The positions with their longest direction across."""
    centred = positions - positions.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1, 1)
    turned: Positions = centred @ axes
    return turned


def _on_former(positions: Positions, former: Positions, known: Known) -> Positions:
    """The positions moved, turned and scaled to be nearest to the former ones (orthogonal Procrustes)."""
    middle, former_middle = positions[known].mean(axis=0), former[known].mean(axis=0)
    centred = positions[known] - middle
    left, sizes, right = np.linalg.svd(centred.T @ (former[known] - former_middle))
    scale = sizes.sum() / max(1e-12, float((centred**2).sum()))
    found: Positions = (positions - middle) @ (left @ right) * scale + former_middle
    return found
