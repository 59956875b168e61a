"""How well maps keep neighbours, and what they cost: `python -m benchmarks.maps [--scenes N] [--images N]`.

Of drawn scenes under the dual encoder that ships: the share of the ten nearest that are of the same kind (hue and
shape), and the trustworthiness (Venna and Kaski, 2001) of ten neighbours, on the map and by the first two principal
components. Then the seconds for a map of random clusters of 384 dimensions. The last line is JSON.
"""

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.needs import run, whole
from benchmarks.shipped import HELD_OUT, embed, load
from image_retrieval.maps.clusters import find_clusters, nearest_cluster, smallest
from image_retrieval.maps.layout import Positions, lay_out, principal
from image_retrieval.maps.neighbours import Rows, Vectors, nearest
from image_retrieval.maps.placing import place
from image_retrieval.models.shipped import DUAL
from image_retrieval.pipeline.mapping import ANCHORS, AT_ONCE
from image_retrieval.scenes import draw_scenes

NEAREST = 10
KINDS, DIMENSIONS = 200, 384


def around(positions: Positions) -> Rows:
    """The NEAREST positions of each one (n, NEAREST)."""
    squares = ((positions[:, None] - positions[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    return np.argsort(squares, axis=1, kind="stable")[:, :NEAREST]


def trustworthiness(vectors: Vectors, near: Rows) -> float:
    """1 if all neighbours on the map are neighbours by vectors; less the further away they are there."""
    count = len(vectors)
    rows, _ = nearest(vectors, vectors, count, itself=True)
    ranks = np.empty((count, count), np.int64)
    np.put_along_axis(ranks, rows, np.arange(1, count)[None].repeat(count, axis=0), axis=1)
    over = np.maximum(0, np.take_along_axis(ranks, near, axis=1) - NEAREST).sum()
    return float(1 - 2 * over / (count * NEAREST * (2 * count - 3 * NEAREST - 1)))


def kept(vectors: Vectors, kinds: NDArray[np.str_], positions: Positions) -> dict[str, float]:
    """How well positions keep neighbours."""
    near = around(positions)
    same = float((kinds[near] == kinds[:, None]).mean())
    return {"same_kind": round(same, 4), "trustworthiness": round(trustworthiness(vectors, near), 4)}


def of_scenes(count: int) -> dict[str, dict[str, float]]:
    """The map with all scenes laid out, with a fifth of them laid out and the others placed, and two components."""
    scenes = list(draw_scenes(count, HELD_OUT))
    vectors = embed(load(DUAL), [scene.data for scene in scenes])
    kinds = np.array([scene.key.partition("/")[0] for scene in scenes])
    few = len(vectors) // 5
    laid = lay_out(vectors[:few])
    placed = np.concatenate([laid, place(vectors[few:], vectors[:few], laid)])
    rows, _ = nearest(vectors, vectors, NEAREST, itself=True)
    return {
        "vectors": {"same_kind": round(float((kinds[rows] == kinds[:, None]).mean()), 4), "trustworthiness": 1.0},
        "map": kept(vectors, kinds, lay_out(vectors)),
        "map, four fifths placed": kept(vectors, kinds, placed),
        "two components": kept(vectors, kinds, principal(vectors)),
    }


def seconds(count: int) -> dict[str, float]:
    """What each part of a map of so many vectors takes."""
    rng = np.random.default_rng(0)
    middles = rng.standard_normal((KINDS, DIMENSIONS)).astype(np.float32)
    noise = rng.standard_normal((count, DIMENSIONS), np.float32)
    vectors = middles[rng.integers(0, KINDS, count)] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    started = time.perf_counter()
    anchors = vectors[:ANCHORS]
    laid = lay_out(anchors)
    after_layout = time.perf_counter()
    clusters = find_clusters(laid, anchors)
    after_clusters = time.perf_counter()
    for start in range(ANCHORS, count, AT_ONCE):
        nearest_cluster(place(vectors[start : start + AT_ONCE], anchors, laid), smallest(clusters))
    parts = np.diff([started, after_layout, after_clusters, time.perf_counter()])
    return {name: round(float(part), 1) for name, part in zip(("layout", "clusters", "placing"), parts, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=whole(50, 20_000), default=3000)
    parser.add_argument("--images", type=whole(1000), default=100_000)
    options = parser.parse_args()
    print(json.dumps({"scenes": of_scenes(options.scenes), "seconds": seconds(options.images)}))


if __name__ == "__main__":
    run(main)
