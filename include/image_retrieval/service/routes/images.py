"""The images of a collection: list, show, register, replace, describe, delete, and get their pictures."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from image_retrieval.pipeline.table_images import smaller_or_original
from image_retrieval.service import images
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.query_filter import FilterText, filter_of
from image_retrieval.service.schemas import Facts, ImageInfo, Images, RegisterForm, ReplaceForm
from image_retrieval.service.state import Service
from image_retrieval.values import KnownId

Name = Annotated[str, Path(max_length=100)]
SHOWN_BY_BROWSERS = {
    **{"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"},
    **{"avif": "image/avif", "bmp": "image/bmp", "ico": "image/x-icon"},
}
INERT = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=300"}


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(prefix="/api/collections/{name}", tags=["images"])

    @routes.get("/images")
    def list_images(
        name: Name,
        after: KnownId | None = None,
        group_id: KnownId | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        filter: FilterText = "{}",
    ) -> Images:
        """A page of the images, in order of their id."""
        return images.page(service, name, after, group_id, limit, filter_of(filter))

    @routes.post("/images", status_code=201, dependencies=writing)
    def register(name: Name, form: RegisterForm) -> ImageInfo:
        """Register a new picture."""
        return images.register(service, name, form)

    @routes.put("/image", dependencies=writing)
    @routes.put("/images/{image_id:id}", dependencies=writing)
    def replace(name: Name, image_id: KnownId, form: ReplaceForm) -> ImageInfo:
        """Put a picture under an id, new or in place of the existing one."""
        return images.replace(service, name, image_id, form)

    @routes.patch("/image", dependencies=writing)
    @routes.patch("/images/{image_id:id}", dependencies=writing)
    def describe(name: Name, image_id: KnownId, facts: Facts) -> ImageInfo:
        """Change an image's metadata; fields that are left out stay as they are."""
        return images.describe(service, name, image_id, facts)

    @routes.get("/image")
    @routes.get("/images/{image_id:id}")
    def show(name: Name, image_id: KnownId) -> ImageInfo:
        """One image."""
        return images.show(service, name, image_id)

    @routes.delete("/image", status_code=204, dependencies=writing)
    @routes.delete("/images/{image_id:id}", status_code=204, dependencies=writing)
    def delete(name: Name, image_id: KnownId) -> None:
        """Delete an image and its object."""
        images.delete(service, name, image_id)

    @routes.get("/picture", response_class=Response)
    @routes.get("/pictures/{image_id:id}", response_class=Response)
    def picture(name: Name, image_id: KnownId, original: bool = False, preview: bool = False) -> Response:
        """An image's resampled picture, its original, or a preview: a small JPEG of the original."""
        found = images.show(service, name, image_id)
        kept = found.resampled_image_path
        uri = smaller_or_original(found.image_path, kept) if preview else found.image_path if original else kept
        data = service.stored(uri := uri or found.image_path)
        if preview:
            return Response(service.preview(data), media_type="image/jpeg", headers=INERT)
        kind = SHOWN_BY_BROWSERS.get(uri.rpartition(".")[2].lower(), "application/octet-stream")
        return Response(data, media_type=kind, headers=INERT)

    return routes
