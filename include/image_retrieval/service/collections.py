"""Collections that are created and dropped through the API."""

from image_retrieval.collection import ModelOptions
from image_retrieval.pipeline import registering
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.service.catalog import (
    Shown,
    known_models,
    listed_collections,
    new_collection,
    shown_collection,
)
from image_retrieval.service.errors import Refused
from image_retrieval.service.schemas import CollectionForm
from image_retrieval.service.state import Service
from image_retrieval.store.collections import has_remains, made_collections, record_made
from image_retrieval.store.connection import Connection
from image_retrieval.store.pending import read_pending
from image_retrieval.store.vector_tables import SpaceTaken

SECONDS = 5.0  # for which a drop waits for a listing to end, and for searches


def make(service: Service, connection: Connection, form: CollectionForm, model: ModelOptions | None = None) -> Shown:
    """Create a collection with the given model, or with one that another collection has. Raises Refused (409, 422)."""
    model = model or _known_model(service, connection, form.model)
    options = {"resample": form.resample, "id_pattern": form.id_pattern}
    collection = new_collection(service.settings, form.name, model, options)
    others = [*listed_collections(service.settings).values(), *made_collections(connection).values()]
    if any(collection.name == other.name or collection.space.stem == other.space.stem for other in others):
        raise Refused(409, "exists", f"collection {form.name!r} exists, or one whose vector table has the same name")
    if has_remains(connection, collection.name):
        message = f"the database still has images and vectors of a collection {form.name!r} without an entry"
        raise Refused(
            409, "exists", message, f"choose another name, or run `image-retrieval collections drop {form.name}` first"
        )
    if not record_made(connection, collection):
        raise Refused(409, "exists", f"collection {form.name!r} exists")
    try:
        registering.make_collection(connection, collection, service.settings)
    except SpaceTaken as error:
        raise Refused(409, "exists", str(error)) from None
    return shown_collection(connection, service.settings, collection.name)


def _known_model(service: Service, connection: Connection, name: str | None) -> ModelOptions:
    models = known_models(connection, service.settings)
    name = name or next(iter(models), "")
    if name not in models:
        raise Refused(422, "unknown_model", f"unknown model {name!r}", f"known models: {', '.join(models)}")
    return models[name]


def drop(service: Service, name: str) -> None:
    """Drop a collection that was made through the API, with its originals. Raises Refused (404, 409, 503), UserError.

    If the collection was dropped before and some files are left, delete those.
    """
    with service.transaction() as connection:
        if not any(change.kind == "empty" for change in read_pending(connection, name)):
            shown = shown_collection(connection, service.settings, name)
            if not shown.made:
                message = f"collection {name!r} was not made through this API"
                hint = f"remove its entry from collections.yaml, then run `image-retrieval collections drop {name}`"
                raise Refused(409, "not_made_here", message, hint)
    with service.changing():
        left = drop_collection(name, service.settings, originals=True, patience=SECONDS, seconds=SECONDS)
    service.forget(name)
    if left:
        message = f"collection {name!r} is dropped, but the object store refuses to delete {len(left)} of its files"
        raise Refused(503, "unavailable", message, "repeat the request, or let the upkeep do it", wait=5)
