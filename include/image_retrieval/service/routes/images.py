"""The images of a collection: list, show, register, replace, describe, delete; and their pictures."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from psycopg.types.json import Jsonb
from starlette.responses import Response

from image_retrieval.inputs import stored_image
from image_retrieval.pipeline.pending import settle, settling
from image_retrieval.pipeline.registering import Picture, delete_image, register_image
from image_retrieval.service.catalog import Shown, shown_collection
from image_retrieval.service.errors import Refused, require_gone
from image_retrieval.service.forms import Facts, ImageId, ImageInfo, Images, RegisterForm, ReplaceForm
from image_retrieval.service.state import Service
from image_retrieval.store.connection import Connection
from image_retrieval.store.sql import statement

Name = Annotated[str, Path(max_length=100)]
Id = Annotated[str, Path(min_length=1, max_length=500)]
SHOWN_BY_BROWSERS = {
    **{"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"},
    **{"avif": "image/avif", "bmp": "image/bmp", "ico": "image/x-icon"},
}
INERT = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=300"}


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = APIRouter(prefix="/api/collections/{name}", tags=["images"])

    @routes.get("/images")
    def list_images(
        name: Name,
        after: Annotated[str | None, Query(max_length=500)] = None,
        group_id: Annotated[str | None, Query(max_length=500)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> Images:
        """A page of the images, in order of their id."""
        with service.transaction() as connection:
            _shown(service, connection, name)
            wanted = {"after": after, "group_id": group_id, "limit": limit + 1}
            rows = connection.execute(statement("service", "list_images", view=name), wanted).fetchall()
        page = [ImageInfo(**row) for row in rows[:limit]]
        return Images(images=page, after=page[-1].image_id if len(rows) > limit else None)

    @routes.post("/images", status_code=201, dependencies=writing)
    def register(name: Name, form: RegisterForm) -> ImageInfo:
        """Register a new picture."""
        image_id = form.image_id or _new_id(form)
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
            if _find(connection, name, image_id) is not None:
                told = f"collection {name!r} has an image {image_id!r} already"
                raise Refused(409, "exists", told, "replace it with PUT, or choose another image_id")
        return put(service, shown, image_id, form)

    @routes.put("/images/{image_id:path}", dependencies=writing)
    def replace(name: Name, image_id: ImageId, form: ReplaceForm) -> ImageInfo:
        """Put a picture under an id, new or in place of the one that is there."""
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
        return put(service, shown, image_id, form)

    @routes.patch("/images/{image_id:path}", dependencies=writing)
    def describe(name: Name, image_id: Id, facts: Facts) -> ImageInfo:
        """Change what is said of an image; what is left out stays."""
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
            _describe(connection, shown, image_id, facts)
            return _image(connection, shown, image_id)

    @routes.get("/images/{image_id:path}")
    def show(name: Name, image_id: Id) -> ImageInfo:
        """One image."""
        with service.transaction() as connection:
            return _image(connection, _shown(service, connection, name), image_id)

    @routes.delete("/images/{image_id:path}", status_code=204, dependencies=writing)
    def delete(name: Name, image_id: Id) -> None:
        """Delete an image and its object."""
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
            if not delete_image(connection, shown.collection, image_id, service.settings):
                raise _unknown(shown, image_id)
        require_gone(settle(name, service.settings))

    @routes.get("/pictures/{image_id:path}", response_class=Response)
    def picture(name: Name, image_id: Id, original: bool = False, preview: bool = False) -> Response:
        """An image's resampled picture; its original; or a preview, a small JPEG of that."""
        with service.transaction() as connection:
            found = _image(connection, _shown(service, connection, name), image_id)
        uri = (None if original or preview else found.resampled_image_path) or found.image_path
        data = stored_image(service.store, uri, limit=service.settings.max_image_bytes)
        if preview:
            return Response(service.preview(data), media_type="image/jpeg", headers=INERT)
        kind = SHOWN_BY_BROWSERS.get(uri.rpartition(".")[2].lower(), "application/octet-stream")
        return Response(data, media_type=kind, headers=INERT)

    return routes


def put(service: Service, shown: Shown, image_id: str, form: ReplaceForm) -> ImageInfo:
    """Write a picture and what is said of it under an id. Raises Refused, UserError, ImageRejected."""
    data = service.picture_bytes(form.base64, form.url)
    found, file = service.resampled(data, shown, keep=shown.collection.resample.keep)
    digest = service.facts(shown)["digest"]
    picture = Picture(data, found, file, service.pixels_vector(found, shown), digest)
    groups = (form.group_id, form.intra_id)
    with settling(shown.name, service.settings), service.transaction() as connection:
        image_id = register_image(connection, shown.collection, image_id, picture, groups, service.settings)
        _describe(connection, shown, image_id, form, but=("group_id", "intra_id"))  # which an id_pattern may decide
        return _image(connection, shown, image_id)


def _describe(connection: Connection, shown: Shown, image_id: str, facts: Facts, but: tuple[str, ...] = ()) -> None:
    row = facts.model_dump(include=set(Facts.model_fields))
    given = sorted((facts.model_fields_set & set(Facts.model_fields)).difference(but))
    key = {"collection": shown.name, "image_id": image_id, "given": given}
    row["attributes"] = Jsonb(row["attributes"])
    connection.execute(statement("service", "describe_image"), {**row, **key})


def _new_id(form: RegisterForm) -> str:
    """`<group_id>/<intra_id>` where both are given and fit a key, else a name that nobody has."""
    parts = [part for part in (form.group_id, form.intra_id) if part]
    if len(parts) == 2 and not any(set(part) & set("/\\") or part.startswith(".") for part in parts):
        return "/".join(parts)
    return uuid.uuid4().hex


def _shown(service: Service, connection: Connection, name: str) -> Shown:
    return shown_collection(connection, service.settings, name)


def _find(connection: Connection, name: str, image_id: str) -> dict[str, Any] | None:
    return connection.execute(statement("service", "find_image", view=name), {"image_id": image_id}).fetchone()


def _image(connection: Connection, shown: Shown, image_id: str) -> ImageInfo:
    row = _find(connection, shown.name, image_id)
    if row is None:
        raise _unknown(shown, image_id)
    return ImageInfo(**row)


def _unknown(shown: Shown, image_id: str) -> Refused:
    return Refused(404, "unknown_image", f"collection {shown.name!r} has no image {image_id!r}")
