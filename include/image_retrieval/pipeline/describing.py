"""Describes the listed images by all that a collection asks for, in one order."""

from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.attribute_query import describe_by_query
from image_retrieval.pipeline.object_metadata import describe_by_headers, describe_by_tags
from image_retrieval.pipeline.sidecars import describe_by_sidecars
from image_retrieval.settings import Settings
from image_retrieval.store import told
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Refused

# which kind comes first where several say a caption, or a key of the attributes; `source`: an index file or a tar
ORDER = ("query", "source", "sidecar", "headers", "tags")


def describe_listed(
    connection: Connection, collection: Collection, store: ObjectStore, settings: Settings
) -> list[Refused]:
    """Write into the table `listed` what a collection's `metadata` and `attributes_from` say of its images.

    Returns what cannot be used or read; images stay as that described them before.
    """
    if not collection.metadata and not collection.attributes_from:
        return []
    refused: list[Refused] = []
    told.create_told(connection)
    if "sidecar" in collection.metadata:
        refused += describe_by_sidecars(connection, collection, store)
    if "headers" in collection.metadata:
        refused += describe_by_headers(connection, collection.name, store)
    if "tags" in collection.metadata:
        refused += describe_by_tags(connection, collection.name, store)
    if collection.attributes_from:
        refused += describe_by_query(connection, collection, collection.attributes_from, settings)
    told.merge_told(connection, ORDER)
    return refused
