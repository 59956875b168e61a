"""Collections: list, show, create, drop."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path

from image_retrieval.pipeline.shown import text_modes
from image_retrieval.service import collections
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.catalog import Shown, shown_collection
from image_retrieval.service.schemas import CollectionForm, CollectionInfo, ScoreInfo
from image_retrieval.service.state import Service
from image_retrieval.store.collections import collection_names, models_with_vectors
from image_retrieval.store.connection import Connection

Name = Annotated[str, Path(max_length=100)]


def router(service: Service, writing: list[Any]) -> APIRouter:
    """The routes of one service; those that change something have the dependencies `writing`."""
    routes = strict_router(prefix="/api/collections", tags=["collections"])

    @routes.get("")
    def list_collections() -> list[CollectionInfo]:
        """All collections that can be searched."""
        with service.transaction() as connection:
            names = collection_names(connection)
            return [_info(connection, shown_collection(connection, service.settings, name)) for name in names]

    @routes.get("/{name}")
    def show_collection(name: Name) -> CollectionInfo:
        """One collection."""
        with service.transaction() as connection:
            return _info(connection, shown_collection(connection, service.settings, name))

    @routes.post("", status_code=201, dependencies=writing)
    def create_collection(form: CollectionForm) -> CollectionInfo:
        """Create an empty collection, whose pictures come through this API."""
        with service.changing(), service.writing() as connection:
            return _info(connection, collections.make(service, connection, form))

    @routes.delete("/{name}", status_code=204, dependencies=writing)
    def delete_collection(name: Name) -> None:
        """Drop a collection that was made through this API, with its pictures and vectors."""
        collections.drop(service, name)

    return routes


def _info(connection: Connection, shown: Shown) -> CollectionInfo:
    return CollectionInfo(
        name=shown.name,
        source=shown.collection.source,
        model=shown.model.name,
        models=models_with_vectors(connection, shown.name),
        dimensions=shown.dimensions,
        reads_texts=shown.reads_texts,
        modes=text_modes(connection, shown),
        calibrated=bool(shown.calibrations),
        scores=[ScoreInfo(**asdict(origin)) for origin in shown.scores],
        caption_scores=[ScoreInfo(**asdict(origin)) for origin in shown.caption_scores],
        made=shown.made,
        listed=shown.listed,
    )
