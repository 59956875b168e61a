"""Where the pictures of a packed training set lie, as arrays: what a training samples from."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.packs import read_index

COLUMNS = ("shard", "offset", "size", "held_out", "cluster")
FEWEST = 64  # pictures to learn from


@dataclass(frozen=True, slots=True)
class Sampled:
    """A pack's pictures, in its order. `clusters`: pictures that look alike, or are of one group, have one number.

    `learnt` and `held_out` are the positions of the pictures to learn from, and of those to judge by. `digest` tells
    packs apart.
    """

    uri: str
    digest: str
    shards: tuple[str, ...]
    shard: NDArray[np.int32]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    clusters: NDArray[np.int64]
    learnt: NDArray[np.int64]
    held_out: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """For each picture to learn from, the number of its cluster among them, from 0 without gaps."""
        return np.unique(self.clusters[self.learnt], return_inverse=True)[1].astype(np.int64)


def read_sampled(store: ObjectStore, folder: str) -> Sampled:
    """Where the pictures of a pack lie. Raises UserError if there is none, or too few pictures to learn from."""
    table = read_index(store, folder, COLUMNS)
    shards = table["shard"].combine_chunks().dictionary_encode()
    offset, size, clusters = (table[name].to_numpy() for name in ("offset", "size", "cluster"))
    held_out = table["held_out"].to_numpy().astype(bool)
    learnt = np.flatnonzero(~held_out)
    if len(learnt) < FEWEST:
        raise UserError(f"{folder} has {len(learnt)} pictures to learn from: training needs at least {FEWEST}")
    names, shard = tuple(shards.dictionary.to_pylist()), shards.indices.to_numpy().astype(np.int32)
    digest = hashlib.sha256("\n".join(names).encode())
    for column in (shard, offset, size, clusters, held_out):
        digest.update(column.tobytes())
    return Sampled(folder, digest.hexdigest(), names, shard, offset, size, clusters, learnt, np.flatnonzero(held_out))
