"""Maps a collection: lays its vectors out in the plane, finds clusters, and places new images among the others."""

import time
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
import structlog

from image_retrieval.collection import Collection
from image_retrieval.maps.clusters import find_clusters, nearest_cluster, smallest
from image_retrieval.maps.layout import lay_out
from image_retrieval.maps.placing import place
from image_retrieval.settings import Settings
from image_retrieval.store import maps
from image_retrieval.store.connection import connect
from image_retrieval.store.maps import Changes, Map, Placeable, Placed

ANCHORS = 20_000  # images that are laid out themselves
AT_ONCE = 5000
LEAST = 3
CHANGED = 0.1  # share of images that are new, changed or gone, from which the map is made again

log = structlog.get_logger()


class MapUpkeep(TypedDict):
    """What was done about the map, in words, and how many images got a place."""

    map: str
    placed: int


def keep_mapped(collection: Collection, settings: Settings) -> MapUpkeep:
    """Make the map of a collection under its model if it has none or has changed much, else place what is new.

    A map replaces the former one as a whole; a kill before that changes nothing. Every step is the same each time.
    """
    with connect(settings) as connection:
        known = maps.find_map(connection, collection.name)
        changes = maps.count_changes(connection, collection.space)
        if changes.vectors < LEAST:
            maps.remove_map(connection, collection.name)
            return {"map": f"none: {changes.vectors} images are too few", "placed": 0}
    started, placed = time.monotonic(), 0
    why = _why(known, changes, collection.model.name)
    if why:
        placed = _make(collection, settings)
    elif known and changes.waiting:
        placed = _place_new(collection, known, settings)
    with connect(settings) as connection:
        maps.describe_clusters(connection, collection.name)
    done = f"made, since {why}" if why else "as it was" if not placed else "new images were placed"
    log.info("map", map=done, placed=placed, images=changes.vectors, seconds=round(time.monotonic() - started, 1))
    return {"map": done, "placed": placed}


def _why(known: Map | None, changes: Changes, model: str) -> str | None:
    """Why the map is to be made, or None if new images can be placed on the one that is there."""
    if known is None:
        return "there was none"
    if known.model != model:
        return f"the collection now shows vectors of {model}"
    gone = max(0, known.images - (changes.vectors - changes.waiting - changes.late))
    changed = max(changes.waiting + changes.late, gone)
    return f"{changed} of {changes.vectors} images have changed" if changed >= CHANGED * changes.vectors else None


def _make(collection: Collection, settings: Settings) -> int:
    """Make the whole map. Returns how many images are on it."""
    with connect(settings) as connection:
        anchors = maps.sample_images(connection, collection.space, ANCHORS)
    places = lay_out(anchors.vectors, former=anchors.places)
    clusters = find_clusters(places, anchors.vectors)
    middles = smallest(clusters)
    placed = [Placed(anchors.ids, anchors.etags, places, nearest_cluster(places, middles), anchors=True)]
    laid = set(anchors.ids.tolist())
    for images in _images(collection, settings, every=True):
        rest = [at for at, image in enumerate(images.ids.tolist()) if image not in laid]
        if rest:
            found = np.clip(place(images.vectors[rest], anchors.vectors, places), 0, 1)
            etags = [images.etags[at] for at in rest]
            placed.append(Placed(images.ids[rest], etags, found, nearest_cluster(found, middles), anchors=False))
    with connect(settings) as connection:
        maps.replace_map(connection, collection.space, clusters, anchors.ids, placed)
    return sum(len(part.ids) for part in placed)


def _place_new(collection: Collection, known: Map, settings: Settings) -> int:
    """Place new and changed images among the anchors, a batch at a time. Returns their number."""
    with connect(settings) as connection:
        anchors = maps.find_anchors(connection, collection.space)
        middles = maps.smallest_clusters(connection, collection.name)
    count = 0
    for images in _images(collection, settings, every=False):
        found = np.clip(place(images.vectors, anchors.vectors, anchors.places), 0, 1)
        placed = Placed(images.ids, images.etags, found, nearest_cluster(found, middles), anchors=False)
        with connect(settings) as connection:
            maps.add_places(connection, collection.space, [placed], known)
        count += len(images.ids)
    return count


def _images(collection: Collection, settings: Settings, *, every: bool) -> Iterator[Placeable]:
    """Images with their vectors, a batch at a time: every one, or those that have no place."""
    after = 0
    while True:
        with connect(settings) as connection:
            images = maps.next_images(connection, collection.space, after, AT_ONCE, every=every)
        if not len(images.ids):
            return
        yield images
        after = int(images.ids[-1])
