"""The points of a map in few bytes, as the page reads them.

`map1`, the number of points (uint32), then for all points their ids (int64), x and y (uint16, 0 to 65535) and the
smallest cluster (uint16); everything in little-endian order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAGIC = b"map1"
STEPS = 65535


@dataclass(frozen=True, slots=True)
class Points:
    """Points of a map, each array (n,): the ids of images, positions from 0 to 1, and the numbers of clusters."""

    ids: NDArray[np.int64]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    clusters: NDArray[np.int32]


def pack(points: Points) -> bytes:
    """The points in 14 bytes each, and 8 before."""
    x, y = (np.rint(np.clip(part, 0, 1).astype(np.float64) * STEPS).astype("<u2") for part in (points.x, points.y))
    parts = (points.ids.astype("<i8"), x, y, points.clusters.astype("<u2"))
    return b"".join([MAGIC, len(points.ids).to_bytes(4, "little"), *(part.tobytes() for part in parts)])


def unpack(data: bytes) -> Points:
    """The points that `pack` packed. Raises ValueError for other bytes."""
    count = int.from_bytes(data[4:8], "little")
    if data[:4] != MAGIC or len(data) != 8 + 14 * count:
        raise ValueError("these are no points of a map")
    ids = np.frombuffer(data, "<i8", count, 8)
    x, y, clusters = (np.frombuffer(data, "<u2", count, 8 + (8 + 2 * at) * count) for at in range(3))
    return Points(
        ids.astype(np.int64), (x / STEPS).astype(np.float32), (y / STEPS).astype(np.float32), clusters.astype(np.int32)
    )
