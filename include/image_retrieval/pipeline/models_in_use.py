"""The models that collections have vectors of: what is shown, what comes, and what is kept for a while."""

from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, TypedDict

import structlog

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.calibration import calibration_of, directions_of, usable_calibrations
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.owning import require_own, work_place
from image_retrieval.pipeline.shown import listed_collections
from image_retrieval.settings import Settings
from image_retrieval.shards import probes_uri
from image_retrieval.spaces import VectorSpace
from image_retrieval.store import switches, vector_tables
from image_retrieval.store.caption_vectors import try_lock
from image_retrieval.store.collections import made_collections
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.locks import insist, lock_collection, wait_shortly
from image_retrieval.store.switches import ModelInUse

log = structlog.get_logger()
Scores = Literal["own", "fitted", "none"]
State = Literal["shown", "incoming", "kept"]


class CollectionModel(TypedDict):
    """A model under which a collection has vectors.

    `incoming`: a switch to it is open. `kept`: its vectors will be dropped after `until`, if known. `scores`:
    `own` if the model brings its calibrations, `fitted` if some were fitted on the collection, at `fitted_at`, or
    `none`.
    """

    collection: str
    model: str
    dimensions: int
    source: str
    state: State
    until: datetime | None
    scores: Scores
    fitted_at: datetime | None


def list_models(settings: Settings) -> list[CollectionModel]:
    """The models under which each collection has vectors, the shown one first."""
    kept = timedelta(days=settings.keep_vectors_days)
    with connect(settings, keep_limits=True) as connection:
        return [_in_use(row, kept) for row in switches.list_models(connection)]


def _in_use(row: ModelInUse, kept: timedelta) -> CollectionModel:
    scores = _scores(row)
    state: State = "shown" if row.shown else "incoming" if row.incoming else "kept"
    return {
        "collection": row.collection,
        "model": row.model,
        "dimensions": row.dimensions,
        "source": row.source,
        "state": state,
        "until": row.left_at + kept if state == "kept" and row.left_at else None,
        "scores": scores,
        "fitted_at": row.fitted_at if scores == "fitted" else None,
    }


def _scores(row: ModelInUse) -> Scores:
    own = usable_calibrations(row.calibration)
    found = [calibration_of(own, direction) is not None for direction in directions_of(row.family)]
    if all(found):
        return "own"
    return "fitted" if row.fitted_at else "own" if any(found) else "none"


def drop_expired_vectors(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Drop the vectors that a switch replaced more than `keep_vectors_days` ago. Returns the tables' names.

    Vectors of a collection that is searched without a pause stay until the next time, and those of captions stay under
    a text_model that the collection's entry names. `dry_run` only lists the tables.
    """
    with connect(settings) as connection:
        expired = _expired(connection, settings)
    if dry_run:
        return [space.vector_table for space in expired]
    dropped = []
    for space in expired:
        try:
            if insist(space.collection, partial(_drop, space, settings)):
                dropped.append(space.vector_table)
        except Unavailable as error:
            log.warning("a former model's vectors cannot be dropped yet", table=space.vector_table, reason=str(error))
    log.info("dropped the vectors of former models", tables=dropped)
    return dropped


def _drop(space: VectorSpace, settings: Settings) -> bool:
    """Drop the vectors if they are still expired. Returns whether they were."""
    with connect(settings) as connection:
        lock_collection(connection, space.collection)
        if not try_lock(connection, space.collection) or space not in _expired(connection, settings):
            return False  # captions are being embedded, or its model is wanted again
        wait_shortly(connection)  # its reference to retrieval.image locks that, too
        vector_tables.drop_vectors(connection, space)
    store = ObjectStore(settings)
    with suppress(UserError):  # nobody reads them any more, and they go with the collection
        with connect(settings) as connection:
            require_own(connection, work_place(settings), store, claim=False)
        store.delete([probes_uri(settings.work_uri, space.collection, space.model)])
    return True


def _expired(connection: Connection, settings: Settings) -> list[VectorSpace]:
    """The spaces that expired, but for those of captions that an entry names: they are filled again."""
    entries = [*listed_collections(settings).values(), *made_collections(connection).values()]
    named = {(entry.name, entry.text_model.name) for entry in entries if entry.text_model}
    found = switches.find_expired(connection, settings.keep_vectors_days)
    return [space for space in found if (space.collection, space.model) not in named]
