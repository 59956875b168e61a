"""Move: a model's files to another place."""

from image_retrieval.collection import Collection
from image_retrieval.models.digest import digest_of
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings
from image_retrieval.store import models
from image_retrieval.store.connection import Connection


def follow_model(connection: Connection, collection: Collection, settings: Settings) -> None:
    """Record where the collection's model lies now, where it is known elsewhere and nothing is about to load it.

    Fetches its weights for that, once. Raises UserError where they are not those that made its vectors.
    """
    if not models.has_moved(connection, collection):
        return
    folder = model_folder(collection.model.source, collection.model.revision, settings)
    models.record_digest(connection, collection, digest_of(folder))
    models.record_source(connection, collection)
