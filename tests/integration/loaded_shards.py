"""Shards that are loaded without having been embedded."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from image_retrieval.store.connection import connect
from image_retrieval.store.loading import COLUMNS, load_vectors

DIMENSIONS = 3


def shard(ids, versions):
    """Facts and vectors of images, given as the version of each; in an order that is not theirs."""
    found = sorted(versions.items(), key=lambda item: -item[0])
    facts = {"size": 9, "last_modified": datetime(2026, 1, 1, tzinfo=UTC), "sha256": "f00", "width": 8, "height": 8}
    facts |= {"format": "PNG", "mode": "RGB", "phash": 1, "captured_at": None, "resampled_uri": None}
    facts |= {"colours": "red,white", "sharpness": 12.5, "complexity": 0.25}
    images = [facts | {"id": ids[number], "etag": f"v{version}"} for number, version in found]
    table = pa.table({name: pa.array([row[name] for row in images], kind) for name, kind in COLUMNS.items()})
    vectors = np.array([vector(number, version) for number, version in found], np.float32).reshape(-1, DIMENSIONS)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIMENSIONS)
    return table, pa.chunked_array([column])


def vector(number, version):
    return [number / 16, version / 4, -0.5]  # exact in half precision


def load(project, collection, *part):
    with connect(project) as connection:
        return load_vectors(connection, collection, *part)
