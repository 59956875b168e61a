"""The pictures that regions of a collection's images are cut from, and the order of images by one region of each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

import numpy as np

from image_retrieval.errors import ImageRejected
from image_retrieval.picture_options import ResampleChoice
from image_retrieval.pipeline.querying import Vector
from image_retrieval.store.images import ListedObject
from image_retrieval.store.search import Found

Version = tuple[str, int]  # ETag and size
Read = Callable[[str, Version | None], bytes]

CANDIDATES = 50  # images whose regions are embedded for one search
AT_ONCE = 4


def picture_of(listed: ListedObject, choice: ResampleChoice, read: Read) -> bytes:
    """The bytes of an image's original at the version that was embedded.

    Where that cannot be read, those of its kept picture, if that shows the whole original. Raises ImageRejected.
    """
    version = (listed.etag, listed.size or 0) if listed.etag is not None else None
    try:
        return read(listed.uri, version)
    except ImageRejected:
        if listed.resampled_uri is None or choice.fit != "stretch":
            raise
        return read(listed.resampled_uri, None)


def ranked_by_place(
    rows: Sequence[Found],
    query: Vector,
    distance: str,
    vector_at: Callable[[str], Vector | None],
    at_once: int = AT_ONCE,
) -> list[Found]:
    """Found images, those first whose same region is most similar to the query; `similarity` is that of the region.

    `vector_at` gives the vector (dimensions,) of the region of an image_id, in several threads. An image is left out if
    that is None, or raises ImageRejected.
    """
    ranked: list[Found] = []
    with ThreadPoolExecutor(at_once) as threads:
        asked = [threads.submit(copy_context().run, partial(_readable, vector_at, row["image_id"])) for row in rows]
        for row, each in zip(rows, asked, strict=True):
            vector = each.result()
            if vector is not None:
                ranked.append({**row, "similarity": similarity_of(query, vector, distance)})
    return sorted(ranked, key=lambda row: -row["similarity"])


def _readable(vector_at: Callable[[str], Vector | None], image_id: str) -> Vector | None:
    try:
        return vector_at(image_id)
    except ImageRejected:
        return None


def similarity_of(a: Vector, b: Vector, distance: str) -> float:
    """How similar two vectors (dimensions,) are, as the SQL function `retrieval.similarity` says it."""
    if distance == "l2":
        return float(1 / (1 + np.linalg.norm(a - b)))
    lengths = np.linalg.norm(a) * np.linalg.norm(b) if distance == "cosine" else 1.0
    return float(a @ b / lengths)
