"""The known collections: those of collections.yaml, and those made through the API."""

from typing import Any

from pydantic import ValidationError

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.pipeline.shown import Shown as Shown
from image_retrieval.pipeline.shown import find_shown
from image_retrieval.pipeline.shown import listed_collections as listed_collections
from image_retrieval.service.errors import Refused
from image_retrieval.settings import Settings
from image_retrieval.store.collections import collection_names, made_collections, models_with_vectors
from image_retrieval.store.connection import Connection


def shown_collection(connection: Connection, settings: Settings, name: str, model: str | None = None) -> Shown:
    """A collection that can be searched, under the shown model or another one. Raises Refused (404, 422)."""
    if model is not None and model not in (known := models_with_vectors(connection, name)) and known:
        message = f"collection {name!r} has no vectors under a model {model[:80]!r}"
        raise Refused(422, "unknown_model", message, f"it has vectors under: {', '.join(known)}")
    shown = find_shown(connection, settings, name, model=model)
    if shown is None:
        raise unknown_collection(connection, name)
    return shown


def require_changeable(shown: Shown) -> None:
    """Raise Refused (409) if a collection's definition is missing or cannot be read: its images cannot be changed."""
    if not shown.listed and not shown.made:
        message = f"collection {shown.name!r} is no longer in collections.yaml: it can be searched, but not changed"
        hint = f"write its entry again, or run `image-retrieval collections drop {shown.name}`"
        raise Refused(409, "not_listed", message, hint)
    if shown.unread:
        message = f"collection {shown.name!r} has keys that this version does not know: {', '.join(shown.unread)}"
        raise Refused(409, "not_readable", message, "it can be searched; create a new collection for new pictures")


def unknown_collection(connection: Connection, name: str) -> Refused:
    """The refusal that lists the existing collections."""
    there = ", ".join(collection_names(connection)[:20]) or "none"
    return Refused(404, "unknown_collection", f"unknown collection {name[:80]!r}", f"known collections: {there}")


def known_models(connection: Connection, settings: Settings) -> dict[str, ModelOptions]:
    """The models that a new collection may use, by name: those of existing collections, in their order."""
    models: dict[str, ModelOptions] = {}
    for collection in (*listed_collections(settings).values(), *made_collections(connection).values()):
        models.setdefault(collection.model.name, collection.model)  # the file has the current place of a model
    return models


def new_collection(settings: Settings, name: str, model: ModelOptions, options: dict[str, Any]) -> Collection:
    """A collection whose pictures are stored under the setting `service_source_uri`. Raises Refused (422)."""
    source = f"{settings.service_source_uri.rstrip('/')}/{name}/"
    try:
        return Collection(name=name, source=source, model=model, schedule=None, **options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(422, "invalid_request", f"{place}: {first['msg']}") from None
