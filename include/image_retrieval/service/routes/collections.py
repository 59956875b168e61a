"""Collections: list, show, create, drop."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from image_retrieval.collection import ModelOptions
from image_retrieval.pipeline import registering
from image_retrieval.pipeline.dropping import drop_collection
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import (
    Shown,
    known_models,
    listed_collections,
    new_collection,
    shown_collection,
)
from image_retrieval.service.errors import Refused
from image_retrieval.service.schemas import CollectionForm, CollectionInfo
from image_retrieval.service.state import Service
from image_retrieval.store.collections import collection_names, has_remains, made_collections, record_made
from image_retrieval.store.connection import Connection
from image_retrieval.store.pending import read_pending
from image_retrieval.store.vector_tables import SpaceTaken

Name = Annotated[str, Path(max_length=100)]
SECONDS = 5.0  # for which a drop waits for a listing to end, and for searches


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(prefix="/api/collections", tags=["collections"])

    @routes.get("")
    def list_collections() -> list[CollectionInfo]:
        """All collections that can be searched."""
        with service.transaction() as connection:
            names = collection_names(connection)
            return [_info(shown_collection(connection, service.settings, name)) for name in names]

    @routes.get("/{name}")
    def show_collection(name: Name) -> CollectionInfo:
        """One collection."""
        with service.transaction() as connection:
            return _info(shown_collection(connection, service.settings, name))

    @routes.post("", status_code=201, dependencies=writing)
    def create_collection(form: CollectionForm) -> CollectionInfo:
        """Create an empty collection, whose pictures come through this API."""
        with service.changing(), service.writing() as connection:
            return _info(make(service, connection, form))

    @routes.delete("/{name}", status_code=204, dependencies=writing)
    def delete_collection(name: Name) -> None:
        """Drop a collection that was made through this API, with its pictures and vectors."""
        drop(service, name)

    return routes


def make(service: Service, connection: Connection, form: CollectionForm, model: ModelOptions | None = None) -> Shown:
    """Create a collection with the given model, or with one that another collection has. Raises Refused (409, 422)."""
    model = model or _known_model(service, connection, form.model)
    options = {"resample": form.resample, "id_pattern": form.id_pattern}
    collection = new_collection(service.settings, form.name, model, options)
    others = [*listed_collections(service.settings).values(), *made_collections(connection).values()]
    if any(collection.name == other.name or collection.space.stem == other.space.stem for other in others):
        raise Refused(409, "exists", f"collection {form.name!r} exists, or one whose vector table has the same name")
    if has_remains(connection, collection.name):
        told = f"the database still has images and vectors of a collection {form.name!r} without an entry"
        raise Refused(
            409, "exists", told, f"choose another name, or run `image-retrieval collections drop {form.name}` first"
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
                told = f"collection {name!r} was not made through this API"
                hint = f"remove its entry from collections.yaml, then run `image-retrieval collections drop {name}`"
                raise Refused(409, "not_made_here", told, hint)
    with service.changing():
        left = drop_collection(name, service.settings, originals=True, patience=SECONDS, seconds=SECONDS)
    service.forget(name)
    if left:
        told = f"collection {name!r} is dropped, but the object store refuses to delete {len(left)} of its files"
        raise Refused(503, "unavailable", told, "repeat the request, or let the upkeep do it", wait=5)


def _info(shown: Shown) -> CollectionInfo:
    return CollectionInfo(
        name=shown.name,
        source=shown.collection.source,
        model=shown.model.name,
        dimensions=shown.dimensions,
        reads_texts=shown.reads_texts,
        calibrated=bool(shown.calibrations),
        made=shown.made,
        listed=shown.listed,
    )
