"""The map of a collection: its clusters, its points in a compact form, and the images behind some points."""

import hashlib
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from image_retrieval.maps.packing import pack
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.errors import Refused
from image_retrieval.service.query_filter import FilterText, filter_of
from image_retrieval.service.state import Service
from image_retrieval.store import maps

Name = Annotated[str, Path(max_length=100)]
MOST = 200  # images at once
HEADERS = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = strict_router(prefix="/api/collections/{name}/map", tags=["map"])

    @routes.get("")
    def clusters(name: Name) -> dict[str, Any]:
        """The clusters of the map at up to three levels, the largest first, each with its most typical image."""
        with service.transaction() as connection:
            shown_collection(connection, service.settings, name)
            found = maps.find_map(connection, name)
            if found is None:
                message = f"collection {name!r} has no map yet"
                raise Refused(404, "no_map", message, f"the next upkeep makes it, or `image-retrieval map {name}`")
            return {"made_at": found.made_at, "clusters": [asdict(one) for one in maps.list_clusters(connection, name)]}

    @routes.get("/points", response_class=Response)
    def points(
        name: Name,
        filter: FilterText = "{}",
        if_none_match: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """The places of all images, or of those that match a filter, as docs/api.md describes these bytes."""
        wanted = filter_of(filter)
        with service.transaction(heavy=True) as connection:
            shown_collection(connection, service.settings, name)
            data = pack(maps.find_points(connection, name, wanted))
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {**HEADERS, "ETag": tag}
        if if_none_match is not None and tag in (part.strip().removeprefix("W/") for part in if_none_match.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(data, media_type="application/octet-stream", headers=headers)

    @routes.get("/images")
    def images(name: Name, id: Annotated[list[int], Query(min_length=1, max_length=MOST)]) -> dict[str, Any]:
        """The images behind some points, by the ids of these; those that are gone are left out."""
        with service.transaction() as connection:
            shown_collection(connection, service.settings, name)
            known = [one for one in id if -(2**63) <= one < 2**63]
            return {"images": [asdict(image) for image in maps.find_images(connection, name, known)]}

    return routes
