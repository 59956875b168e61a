"""Finds held-out pictures of which a copy is among those to learn from, so that the figures would be too good."""

import numpy as np
import pyarrow as pa

from image_retrieval.training.near_duplicates import Seen


def count_copies(index: pa.Table) -> int:
    """How many held-out pictures of a packed set look like one that is learnt from."""
    held_out = index["held_out"].to_numpy(zero_copy_only=False).astype(bool)
    prints = list(zip(index["phash"].to_pylist(), index["thumbnail"].to_pylist(), strict=True))
    seen = Seen()
    for place in np.flatnonzero(~held_out):
        seen.add(*prints[place])
    return sum(seen.knows(*prints[place]) for place in np.flatnonzero(held_out))
