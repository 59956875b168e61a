"""Upkeep: what keeps a collection in good order between its runs. Each step may be killed and run again at any time."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import structlog

from image_retrieval.batches import in_order
from image_retrieval.collection import Collection, load_collections
from image_retrieval.imaging.resample import hash_of_resampled
from image_retrieval.objects import ObjectFault, ObjectStore
from image_retrieval.pipeline.removing import count_expired, find_orphans, remove_expired
from image_retrieval.settings import Settings
from image_retrieval.store import models
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.duplicates import find_duplicates
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.reports import made_collections
from image_retrieval.store.sql import statement
from image_retrieval.store.vacuuming import ensure_vacuumed

BATCH = 500
READERS = 8
Row = dict[str, Any]

log = structlog.get_logger()


def kept_collections(settings: Settings) -> dict[str, Collection]:
    """The collections of the file and those that were made through the API, as far as they have vectors.

    Each is under the model that its view shows.
    """
    with connect(settings) as connection:
        known = load_collections(settings.collections_path) | made_collections(connection)
        shown = {name: models.shown(connection, entry) for name, entry in known.items()}
        return {name: entry for name, entry in shown.items() if _has_vectors(connection, entry)}


def remove_deleted(collection: Collection, settings: Settings, *, dry_run: bool = False) -> dict[str, Any]:
    """Remove what is left of images deleted long ago, and resampled pictures without an image; count all orphans."""
    removed = count_expired(collection, settings) if dry_run else remove_expired(collection, settings)
    orphans = asdict(find_orphans(collection, settings, remove=not dry_run))
    log.info("orphans", **orphans)
    return {"removed": removed, "orphans": orphans}


def keep_index(collection: Collection, settings: Settings) -> dict[str, Any]:
    """Build or rebuild the index where that is due, then vacuum where that is: in a rebuilt index nothing is dead."""
    plan = ensure_index(collection, settings)
    tables = (collection.vector_table, "image")
    return {"index": plan.reason, "vacuumed": [table for table in tables if ensure_vacuumed(table, settings)]}


def refresh_duplicates(collection: Collection, settings: Settings) -> dict[str, int]:
    """Hash images that have no perceptual hash yet, and find the duplicates of what is new or changed."""
    counts = {"hashed": hash_images(collection, settings), **find_duplicates(collection, settings)}
    log.info("duplicates", **counts)
    return counts


def hash_images(collection: Collection, settings: Settings) -> int:
    """Give images without a perceptual hash that of their resampled picture. Returns how many got one.

    A picture that was cropped shows a part only, and is left to a full re-scan.
    """
    if collection.resample.fit == "crop":
        return 0
    store, hashed = ObjectStore(settings), 0

    def work(row: Row) -> Row:
        try:
            data = store.read(row["resampled_uri"])
        except ObjectFault:
            return {**row, "phash": None}
        return {**row, "phash": hash_of_resampled(data, row["width"], row["height"], collection.resample)}

    for rows in _unhashed(collection, settings):
        found = [row for row in in_order(work, rows, READERS) if row["phash"] is not None]
        with connect(settings) as connection, connection.cursor() as cursor:
            cursor.executemany(statement("duplicates", "set_hash"), found)
        hashed += len(found)
    return hashed


def _unhashed(collection: Collection, settings: Settings) -> Iterator[list[Row]]:
    after = 0
    while True:
        wanted = {"collection": collection.name, "after": after, "limit": BATCH}
        with connect(settings) as connection:
            rows = connection.execute(statement("duplicates", "find_unhashed"), wanted).fetchall()
        if not rows:
            return
        yield rows
        after = rows[-1]["id"]


def _has_vectors(connection: Connection, collection: Collection) -> bool:
    names = {"collection": collection.space.collection, "model": collection.space.model}
    return connection.execute(statement("view", "find_space"), names).fetchone() is not None
