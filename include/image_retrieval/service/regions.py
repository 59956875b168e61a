"""Searches by a region of a picture: by the vector of what is cut out, and by the same place of other pictures."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial

from image_retrieval.errors import ImageRejected
from image_retrieval.pipeline.regions import picture_of
from image_retrieval.service.catalog import Shown
from image_retrieval.service.encoder import Vector
from image_retrieval.service.errors import Refused
from image_retrieval.service.state import Service
from image_retrieval.store.images import find_listed
from image_retrieval.store.search import Found
from image_retrieval.values import Region

CANDIDATES = 50  # whose regions are embedded for one search
AT_ONCE = 4


def stored_region(service: Service, shown: Shown, image_id: str, region: Region) -> Vector:
    """The vector (dimensions,) of a region of an image of the collection. Raises Refused, UserError, ImageRejected."""
    with service.statements() as connection:
        listed = find_listed(connection, shown.name, image_id)
    if listed is None:
        raise Refused(404, "unknown_image", f"collection {shown.name!r} has no image {image_id!r}")
    return service.image_vector(picture_of(listed, shown.collection.resample, service.stored), shown, region)


def ranked_by_place(
    service: Service, shown: Shown, query: Vector, region: Region, rows: Sequence[Found]
) -> list[Found]:
    """The found images, those first whose same region is most similar to the query; `similarity` is that of the region.

    An image whose picture cannot be read is left out. Raises Refused and UserError.
    """
    with ThreadPoolExecutor(AT_ONCE) as threads:
        asked = [
            threads.submit(copy_context().run, partial(_similarity, service, shown, query, region, row["image_id"]))
            for row in rows
        ]
        similarities = [each.result() for each in asked]
    found: list[Found] = [
        {**row, "similarity": similarity}
        for row, similarity in zip(rows, similarities, strict=True)
        if similarity is not None
    ]
    return sorted(found, key=lambda row: -row["similarity"])


def _similarity(service: Service, shown: Shown, query: Vector, region: Region, image_id: str) -> float | None:
    try:
        return float(query @ stored_region(service, shown, image_id, region))
    except ImageRejected:
        return None
    except Refused as refused:
        if refused.status != 404:  # 404: it was deleted since
            raise
        return None
