"""Puts what an inventory lists into the table `listed`, and bounds what it may say: it knows nothing newer."""

from dataclasses import replace
from functools import partial

import structlog

from image_retrieval.allowed import refusal
from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.prefixes import copy_prefix
from image_retrieval.settings import Settings
from image_retrieval.sources.inventory import find_inventory, inventory_pages
from image_retrieval.store import inventories, listings
from image_retrieval.store.connection import Connection
from image_retrieval.store.listings import Listed

log = structlog.get_logger()


def copy_inventory(connection: Connection, collection: Collection, store: ObjectStore, settings: Settings) -> Listed:
    """Copy an inventory's objects as pages of a listing. Raises UserError if it cannot be read completely.

    Images that were written, first seen or deleted after it was made stay as they are.
    """
    inventory = find_inventory(collection.source, store)
    pages = inventory_pages(inventory, store, partial(refusal, settings=settings))
    listed = copy_prefix(connection, collection, store, pages)
    listings.analyse_listed(connection)
    kept = inventories.keep_newer(connection, collection.name, inventory.created)
    log.info("read an inventory", manifest=inventory.uri, created=inventory.created.isoformat(), newer=kept)
    return replace(listed, count=listed.count + kept)
