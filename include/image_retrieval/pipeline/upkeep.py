"""Upkeep: maintains collections between their runs. Each step may be killed and run again at any time."""

from dataclasses import asdict, dataclass
from typing import NotRequired, TypedDict

import structlog

from image_retrieval.collection import Collection, load_collections
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.pipeline.caption_vectors import CaptionVectors, keep_captions_embedded
from image_retrieval.pipeline.fingerprinting import fingerprint_images
from image_retrieval.pipeline.mapping import MapUpkeep, keep_mapped
from image_retrieval.pipeline.pending import settle_all
from image_retrieval.pipeline.removing import count_expired, find_orphans, remove_expired
from image_retrieval.settings import Settings
from image_retrieval.store import captions, models
from image_retrieval.store.collections import made_collections, stored_collections
from image_retrieval.store.connection import connect
from image_retrieval.store.costs import measure_costs
from image_retrieval.store.duplicates import find_duplicates
from image_retrieval.store.filter_indexes import ensure_filter_indexes
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.vacuum import ensure_vacuumed
from image_retrieval.store.vector_tables import is_there

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Kept:
    """A collection under the model that its view shows; `listed`: in collections.yaml, or made through the API.

    A collection that is not listed gets no new images, and nothing says how to index and compare them: only its deleted
    images are removed.
    """

    collection: Collection
    listed: bool


class Removal(TypedDict):
    """How many deleted images were removed, and the `orphans` of a collection that is listed, counted."""

    removed: int
    orphans: NotRequired[dict[str, int]]


class IndexUpkeep(TypedDict):
    """What was done about the index and those for filters, in words, the tables that were vacuumed, and captions."""

    index: str
    filters: list[str]
    vacuumed: list[str]
    captions: NotRequired[CaptionVectors]


def kept_collections(settings: Settings) -> dict[str, Kept]:
    """The collections that have vectors: in the file, made through the API, or formerly in the file."""
    with connect(settings) as connection:
        listed = load_collections(settings.collections_path) | made_collections(connection)
        known = stored_collections(connection) | listed
        shown = {name: models.shown(connection, entry) for name, entry in known.items()}
        return {name: Kept(entry, name in listed) for name, entry in shown.items() if is_there(connection, entry.space)}


def finish_changes(settings: Settings) -> dict[str, int]:
    """Finish interrupted changes of the object store, including those of dropped collections; counts what is `left`."""
    return {"left": len(settle_all(settings))}


def remove_deleted(kept: Kept, settings: Settings, *, dry_run: bool = False) -> Removal:
    """Remove images deleted long ago, and resampled pictures without an image; count all orphans.

    The orphans of a collection that is not listed stay: only its entry could say what is an orphan.
    """
    collection = kept.collection
    removed = count_expired(collection, settings) if dry_run else remove_expired(collection, settings)
    if not kept.listed:
        log.info("orphans are left alone: the collection is no longer in collections.yaml")
        return {"removed": removed}
    orphans = asdict(find_orphans(collection, settings, remove=not dry_run))
    log.info("orphans", **orphans)
    return {"removed": removed, "orphans": orphans}


def keep_index(kept: Kept, settings: Settings) -> IndexUpkeep:
    """Build or rebuild the index and those for filters if needed, then vacuum if needed: a rebuilt index has no dead
    entries. Then measure what searches with filters cost, count the words of captions, and keep their
    vectors and index.
    """
    index, filters = "left alone: the collection is no longer in collections.yaml", list[str]()
    if kept.listed:
        index = ensure_index(kept.collection, settings).reason
        filters = ensure_filter_indexes(kept.collection, settings)
    tables = (kept.collection.vector_table, "image")
    vacuumed = [table for table in tables if ensure_vacuumed(table, settings)]
    if kept.listed:
        measure_costs(kept.collection, settings)
        with connect(settings) as connection:
            captions.count_words(connection, kept.collection.name)
    done: IndexUpkeep = {"index": index, "filters": filters, "vacuumed": vacuumed}
    if kept.listed and (embedded := keep_captions_embedded(kept.collection, settings)):
        done["captions"] = embedded
    return done


def refresh_duplicates(kept: Kept, settings: Settings) -> dict[str, int]:
    """Fill in missing fingerprints, and find the duplicates of new and changed images.

    Does nothing for a collection that is not listed.
    """
    if not kept.listed:
        return {}
    collection = kept.collection
    counts = {"fingerprinted": fingerprint_images(collection, settings), **find_duplicates(collection, settings)}
    log.info("duplicates", **counts)
    return counts


def keep_scores(kept: Kept, settings: Settings) -> dict[str, str]:
    """Fit the scores again if the collection has changed much. Does nothing for a collection that is not listed."""
    return keep_calibrated(kept.collection, settings) if kept.listed else {}


def keep_map(kept: Kept, settings: Settings) -> MapUpkeep | None:
    """Make or update the map. Does nothing for a collection that is not listed."""
    return keep_mapped(kept.collection, settings) if kept.listed else None
