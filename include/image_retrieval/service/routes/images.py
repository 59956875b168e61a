"""The images of a collection: list, show, register, replace, describe, delete, and get their pictures."""

import uuid
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from image_retrieval.pipeline.pending import settle, settling
from image_retrieval.pipeline.registering import ImageExists, Picture, delete_image, register_image
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import Shown, require_changeable, shown_collection
from image_retrieval.service.errors import Refused, require_gone
from image_retrieval.service.schemas import Facts, ImageInfo, Images, RegisterForm, ReplaceForm
from image_retrieval.service.state import Service
from image_retrieval.store import images as store
from image_retrieval.store.connection import Connection
from image_retrieval.values import KnownId, NewImageId, new_image_id

MANY = 100  # a page of more images counts as a long answer
NEW_ID: TypeAdapter[str] = TypeAdapter(NewImageId)
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
    ) -> Images:
        """A page of the images, in order of their id."""
        with service.transaction(heavy=limit > MANY) as connection:
            _shown(service, connection, name)
            rows = store.list_images(connection, name, after=after, group_id=group_id, limit=limit + 1)
        page = [ImageInfo(**row) for row in rows[:limit]]
        return Images(images=page, after=page[-1].image_id if len(rows) > limit else None)

    @routes.post("/images", status_code=201, dependencies=writing)
    def register(name: Name, form: RegisterForm) -> ImageInfo:
        """Register a new picture."""
        image_id = form.image_id or _new_id(form)
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
            if store.find_image(connection, name, image_id) is not None:  # refused before the picture is processed
                raise _exists(shown, image_id)
        return _put(service, shown, image_id, form, new=True)

    @routes.put("/image", dependencies=writing)
    @routes.put("/images/{image_id:id}", dependencies=writing)
    def replace(name: Name, image_id: KnownId, form: ReplaceForm) -> ImageInfo:
        """Put a picture under an id, new or in place of the existing one."""
        with service.transaction() as connection:
            shown = _shown(service, connection, name)
            if store.find_object(connection, name, image_id) is None:
                _require_new_id(image_id)
        return _put(service, shown, image_id, form)

    @routes.patch("/image", dependencies=writing)
    @routes.patch("/images/{image_id:id}", dependencies=writing)
    def describe(name: Name, image_id: KnownId, facts: Facts) -> ImageInfo:
        """Change an image's metadata; fields that are left out stay as they are."""
        with service.changing(), service.writing() as connection:
            shown = _shown(service, connection, name)
            require_changeable(shown)
            _describe(connection, shown, image_id, facts)
            return _image(connection, shown, image_id)

    @routes.get("/image")
    @routes.get("/images/{image_id:id}")
    def show(name: Name, image_id: KnownId) -> ImageInfo:
        """One image."""
        with service.transaction() as connection:
            return _image(connection, _shown(service, connection, name), image_id)

    @routes.delete("/image", status_code=204, dependencies=writing)
    @routes.delete("/images/{image_id:id}", status_code=204, dependencies=writing)
    def delete(name: Name, image_id: KnownId) -> None:
        """Delete an image and its object."""
        with service.changing():
            with service.writing() as connection:
                shown = _shown(service, connection, name)
                require_changeable(shown)
                if not delete_image(connection, shown.collection, image_id, service.settings, service.store):
                    raise _unknown(shown, image_id)
            require_gone(settle(name, service.settings))

    @routes.get("/picture", response_class=Response)
    @routes.get("/pictures/{image_id:id}", response_class=Response)
    def picture(name: Name, image_id: KnownId, original: bool = False, preview: bool = False) -> Response:
        """An image's resampled picture, its original, or a preview: a small JPEG of the original."""
        with service.transaction() as connection:
            found = _image(connection, _shown(service, connection, name), image_id)
        uri = (None if original or preview else found.resampled_image_path) or found.image_path
        data = service.stored(uri)
        if preview:
            return Response(service.preview(data), media_type="image/jpeg", headers=INERT)
        kind = SHOWN_BY_BROWSERS.get(uri.rpartition(".")[2].lower(), "application/octet-stream")
        return Response(data, media_type=kind, headers=INERT)

    return routes


def _put(service: Service, shown: Shown, image_id: str, form: ReplaceForm, *, new: bool = False) -> ImageInfo:
    picture = made_picture(service, shown, form)
    with service.changing():
        return put(service, shown, image_id, form, picture, new=new)


def made_picture(service: Service, shown: Shown, form: ReplaceForm) -> Picture:
    """A client's picture with its vector, made without a lock. Raises Refused, UserError, ImageRejected."""
    require_changeable(shown)
    data = service.picture_bytes(form.base64, form.url)
    found, file = service.resampled(data, shown, keep=shown.collection.resample.keep)
    digest = service.facts(shown)["digest"]
    return Picture(data, found, file, service.pixels_vector(found, shown), digest)


def put(
    service: Service, shown: Shown, image_id: str, form: ReplaceForm, picture: Picture, *, new: bool = False
) -> ImageInfo:
    """Write a picture and its metadata under an id, inside a `changing` block. Raises Refused, UserError.

    With `new`, it is refused (409) if the id exists, even if it came while this picture was being processed.
    """
    groups = (form.group_id, form.intra_id)
    with settling(shown.name, service.settings), service.writing() as connection:
        try:
            image_id = register_image(
                connection, shown.collection, image_id, picture, groups, service.settings, new=new
            )
        except ImageExists:
            raise _exists(shown, image_id) from None
        _describe(connection, shown, image_id, form, but=("group_id", "intra_id"))  # an id_pattern may decide these
        return _image(connection, shown, image_id)


def _describe(connection: Connection, shown: Shown, image_id: str, facts: Facts, but: tuple[str, ...] = ()) -> None:
    given = (facts.model_fields_set & set(Facts.model_fields)).difference(but)
    description = store.Description(**facts.model_dump(include=set(Facts.model_fields)))
    store.describe_image(connection, shown.name, image_id, description, given)


def _new_id(form: RegisterForm) -> str:
    """`<group_id>/<intra_id>` if both are given and fit into a key, else a random name."""
    parts = [part for part in (form.group_id, form.intra_id) if part]
    if len(parts) == 2 and not any("/" in part or part.startswith(".") for part in parts):
        with suppress(ValueError):
            return new_image_id("/".join(parts))
    return uuid.uuid4().hex


def _require_new_id(image_id: str) -> None:
    """Raise Refused (422) if this is not a valid new id."""
    try:
        NEW_ID.validate_python(image_id)
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Refused(422, "invalid_request", f"image_id: {told}") from None


def _shown(service: Service, connection: Connection, name: str) -> Shown:
    return shown_collection(connection, service.settings, name)


def _image(connection: Connection, shown: Shown, image_id: str) -> ImageInfo:
    row = store.find_image(connection, shown.name, image_id)
    if row is None:
        raise _unknown(shown, image_id)
    return ImageInfo(**row)


def _exists(shown: Shown, image_id: str) -> Refused:
    told = f"collection {shown.name!r} already has an image {image_id!r}"
    return Refused(409, "exists", told, "replace it with PUT, or choose another image_id")


def _unknown(shown: Shown, image_id: str) -> Refused:
    return Refused(404, "unknown_image", f"collection {shown.name!r} has no image {image_id!r}")
