"""Clusters of a map at up to three levels: regions, their parts, and the most typical vector of each."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from image_retrieval.maps.layout import Positions
from image_retrieval.maps.neighbours import Rows, Vectors

SIZES = (12, 48, 240)  # clusters of each level, at most
LEAST = 12  # vectors of a cluster, on average
STEPS = 25


@dataclass(frozen=True, slots=True)
class Cluster:
    """A region of a map. Level 1 has the largest ones; each lies in its `parent`. `typical` is the row of a vector."""

    number: int
    level: int
    parent: int | None
    x: float
    y: float
    typical: int


def find_clusters(positions: Positions, vectors: Vectors, seed: int = 0) -> list[Cluster]:
    """The clusters of vectors (n, dimensions) at positions (n, 2). The smallest ones come first, numbered from 0."""
    sizes = sorted({min(size, max(1, len(vectors) // LEAST)) for size in SIZES})
    of_vector, centres = _split(positions, sizes.pop(), seed)
    groups = _merged(centres, np.bincount(of_vector, minlength=len(centres)).astype(np.float64), sizes)
    clusters: list[Cluster] = []
    first = 0
    for at, group in enumerate([np.arange(len(centres)), *groups]):
        level = len(groups) + 1 - at
        after = first + int(group.max()) + 1
        parents = [] if at == len(groups) else _parents(group, groups[at])
        clusters += [
            Cluster(first + number, level, after + parents[number] if len(parents) else None, *middle, typical)
            for number, (middle, typical) in enumerate(_described(group[of_vector], positions, vectors))
        ]
        first = after
    return clusters


def smallest(clusters: list[Cluster]) -> Positions:
    """The middles (k, 2) of the smallest clusters, in the order of their numbers."""
    deepest = max(cluster.level for cluster in clusters)
    return np.array([(cluster.x, cluster.y) for cluster in clusters if cluster.level == deepest])


def nearest_cluster(positions: Positions, middles: Positions) -> Rows:
    """For each position (n, 2), the number of the nearest middle (k, 2)."""
    distances = (middles**2).sum(axis=1) - 2 * positions @ middles.T
    found: Rows = distances.argmin(axis=1)
    return found


def _split(positions: Positions, count: int, seed: int) -> tuple[Rows, Positions]:
    """The cluster of each position, and the centres: k-means, begun as k-means++ does. Every cluster has a position."""
    rng = np.random.default_rng(seed)
    centres = positions[:1]
    distances = ((positions - centres) ** 2).sum(axis=1)
    while len(centres) < count and distances.sum() > 0:
        at = rng.choice(len(positions), p=distances / distances.sum())
        centres = np.vstack([centres, positions[at]])
        distances = np.minimum(distances, ((positions - positions[at]) ** 2).sum(axis=1))
    for _ in range(STEPS):
        found = nearest_cluster(positions, centres)
        sizes = np.bincount(found, minlength=len(centres))
        sums = np.stack([np.bincount(found, positions[:, axis], len(centres)) for axis in (0, 1)], axis=1)
        centres = sums[sizes > 0] / sizes[sizes > 0, None]
    found = nearest_cluster(positions, centres)
    there, found = np.unique(found, return_inverse=True)
    return found, centres[there]


def _merged(centres: Positions, sizes: NDArray[np.float64], wanted: list[int]) -> list[Rows]:
    """For each wanted number of groups, the largest first, the group of each centre: Ward's method."""
    centres, sizes, group = centres.copy(), sizes.copy(), np.arange(len(centres))
    left, found = len(centres), []
    squares = ((centres[:, None] - centres[None]) ** 2).sum(axis=2)
    costs = squares * (sizes[:, None] * sizes) / (sizes[:, None] + sizes)
    np.fill_diagonal(costs, np.inf)
    for count in reversed(wanted):
        while left > count:
            a, b = sorted(np.unravel_index(costs.argmin(), costs.shape))
            centres[a] = (sizes[a] * centres[a] + sizes[b] * centres[b]) / (sizes[a] + sizes[b])
            sizes[a] += sizes[b]
            group[group == b] = a
            costs[b], costs[:, b] = np.inf, np.inf
            there = np.isfinite(costs[a])
            away = ((centres[there] - centres[a]) ** 2).sum(axis=1)
            costs[a, there] = costs[there, a] = away * sizes[a] * sizes[there] / (sizes[a] + sizes[there])
            left -= 1
        found.append(np.unique(group, return_inverse=True)[1])
    return found


def _parents(group: Rows, above: Rows) -> list[int]:
    """The group above each group; both are given for each centre."""
    _, first = np.unique(group, return_index=True)
    return [int(parent) for parent in above[first]]


def _described(of_vector: Rows, positions: Positions, vectors: Vectors) -> list[tuple[tuple[float, float], int]]:
    """The middle of each cluster, and the row of the vector that is nearest to the mean of its vectors."""
    described = []
    for number in range(int(of_vector.max()) + 1):
        rows = np.flatnonzero(of_vector == number)
        x, y = positions[rows].mean(axis=0)
        typical = rows[(vectors[rows] @ vectors[rows].mean(axis=0)).argmax()]
        described.append(((float(x), float(y)), int(typical)))
    return described
