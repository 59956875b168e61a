"""Follows a model whose files have moved."""

from image_retrieval.collection import Collection
from image_retrieval.models.digest import digest_of
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings
from image_retrieval.store import models
from image_retrieval.store.connection import Connection


def follow_model(connection: Connection, collection: Collection, settings: Settings) -> None:
    """Record the current place of the collection's model, if it has moved and nothing is about to load it.

    Fetches its weights once to compare them. Raises UserError if they are not those that made its vectors.
    """
    if not models.has_moved(connection, collection):
        return
    folder = model_folder(collection.model.source, collection.model.revision, settings)
    models.record_digest(connection, collection, digest_of(folder))
    models.record_source(connection, collection)
