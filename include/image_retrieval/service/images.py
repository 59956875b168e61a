"""The images of a collection: list, show, register, replace, describe, delete.

Each function raises Refused, UserError and ImageRejected.
"""

import uuid
from contextlib import suppress

from pydantic import TypeAdapter, ValidationError

from image_retrieval.pipeline.pending import settle, settling
from image_retrieval.pipeline.registering import ImageExists, Picture, delete_image, register_image
from image_retrieval.service.catalog import Shown, require_changeable, shown_collection
from image_retrieval.service.errors import Refused, require_gone
from image_retrieval.service.schemas import Facts, ImageInfo, Images, RegisterForm, ReplaceForm
from image_retrieval.service.state import Service
from image_retrieval.store import images as store
from image_retrieval.store.connection import Connection
from image_retrieval.store.search import Filter, matching_ids
from image_retrieval.values import NewImageId, new_image_id

MANY = 100  # a page of more images counts as a long answer
NEW_ID: TypeAdapter[str] = TypeAdapter(NewImageId)


def page(
    service: Service, name: str, after: str | None, group_id: str | None, limit: int, filter: Filter | None = None
) -> Images:
    """The first images after an id, in order of their ids; of a group and matching a filter, if these are given."""
    with service.transaction(heavy=limit > MANY or bool(filter)) as connection:
        _shown(service, connection, name)
        if filter:
            matching = filter if group_id is None else {"and": [filter, {"group_id": group_id}]}
            rows = store.find_images(connection, name, matching_ids(connection, name, matching, after, limit + 1))
        else:
            rows = store.list_images(connection, name, after=after, group_id=group_id, limit=limit + 1)
    found = [ImageInfo(**row) for row in rows[:limit]]
    return Images(images=found, after=found[-1].image_id if len(rows) > limit else None)


def show(service: Service, name: str, image_id: str) -> ImageInfo:
    """One image."""
    with service.transaction() as connection:
        return _image(connection, _shown(service, connection, name), image_id)


def register(service: Service, name: str, form: RegisterForm) -> ImageInfo:
    """Put a picture under an id that no image has: the form's, or a new one."""
    image_id = form.image_id or _new_id(form)
    with service.transaction() as connection:
        shown = _shown(service, connection, name)
        if store.find_image(connection, name, image_id) is not None:  # refused before the picture is processed
            raise _exists(shown, image_id)
    return _put(service, shown, image_id, form, new=True)


def replace(service: Service, name: str, image_id: str, form: ReplaceForm) -> ImageInfo:
    """Put a picture under an id, new or in place of the existing one."""
    with service.transaction() as connection:
        shown = _shown(service, connection, name)
        if store.find_object(connection, name, image_id) is None:
            _require_new_id(image_id)
    return _put(service, shown, image_id, form)


def describe(service: Service, name: str, image_id: str, facts: Facts) -> ImageInfo:
    """Change an image's metadata; fields that are left out stay as they are."""
    with service.changing(), service.writing() as connection:
        shown = _shown(service, connection, name)
        require_changeable(shown)
        _describe(connection, shown, image_id, facts)
        return _image(connection, shown, image_id)


def delete(service: Service, name: str, image_id: str) -> None:
    """Delete an image and its object."""
    with service.changing():
        with service.writing() as connection:
            shown = _shown(service, connection, name)
            require_changeable(shown)
            if not delete_image(connection, shown.collection, image_id, service.settings, service.store):
                raise _unknown(shown, image_id)
        require_gone(settle(name, service.settings))


def _put(service: Service, shown: Shown, image_id: str, form: ReplaceForm, *, new: bool = False) -> ImageInfo:
    picture = made_picture(service, shown, form)
    with service.changing():
        return put(service, shown, image_id, form, picture, new=new)


def made_picture(service: Service, shown: Shown, form: ReplaceForm) -> Picture:
    """A client's picture with its vector, made without a lock."""
    require_changeable(shown)
    data = service.picture_bytes(form.base64, form.url)
    found, file = service.resampled(data, shown, keep=shown.collection.resample.keep)
    digest = service.facts(shown)["digest"]
    return Picture(data, found, file, service.pixels_vector(found, shown), digest)


def put(
    service: Service, shown: Shown, image_id: str, form: ReplaceForm, picture: Picture, *, new: bool = False
) -> ImageInfo:
    """Write a picture and its metadata under an id, inside a `changing` block.

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
        info = _image(connection, shown, image_id)
    service.prober.came(shown)
    return info


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
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise Refused(422, "invalid_request", f"image_id: {message}") from None


def _shown(service: Service, connection: Connection, name: str) -> Shown:
    return shown_collection(connection, service.settings, name)


def _image(connection: Connection, shown: Shown, image_id: str) -> ImageInfo:
    row = store.find_image(connection, shown.name, image_id)
    if row is None:
        raise _unknown(shown, image_id)
    return ImageInfo(**row)


def _exists(shown: Shown, image_id: str) -> Refused:
    message = f"collection {shown.name!r} already has an image {image_id!r}"
    return Refused(409, "exists", message, "replace it with PUT, or choose another image_id")


def _unknown(shown: Shown, image_id: str) -> Refused:
    return Refused(404, "unknown_image", f"collection {shown.name!r} has no image {image_id!r}")
