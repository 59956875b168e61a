"""Searches by a region of a picture: by the vector of what is cut out, and by the same place of other pictures."""

from collections.abc import Sequence

from image_retrieval.pipeline import regions
from image_retrieval.pipeline.regions import picture_of
from image_retrieval.service.catalog import Shown
from image_retrieval.service.encoder import Vector
from image_retrieval.service.errors import Refused
from image_retrieval.service.state import Service
from image_retrieval.store.images import find_listed
from image_retrieval.store.search import Found
from image_retrieval.values import Region


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

    def vector_at(image_id: str) -> Vector | None:
        try:
            return stored_region(service, shown, image_id, region)
        except Refused as refused:
            if refused.status != 404:  # 404: it was deleted since
                raise
            return None

    return regions.ranked_by_place(rows, query, shown.collection.distance, vector_at)
