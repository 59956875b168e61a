"""Caption vectors: keeps the vectors of a collection's captions in step with the captions that its view shows.

What is due is read from the tables and written in parts, so a killed process repeats at most one part.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import structlog
from numpy.typing import NDArray

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.logs import reason
from image_retrieval.models.digest import digest_of, require_digest
from image_retrieval.models.source import model_folder
from image_retrieval.pipeline.calibrating import keep_calibrated
from image_retrieval.settings import Settings
from image_retrieval.store import caption_vectors, models
from image_retrieval.store.caption_vectors import CaptionSpaces, DueCaption
from image_retrieval.store.connection import connect
from image_retrieval.store.indexing import ensure_index
from image_retrieval.store.recall import ensure_recall
from image_retrieval.store.vacuum import ensure_vacuumed
from image_retrieval.store.vector_tables import ensure_vector_table, is_there

log = structlog.get_logger()
PART = 1000  # captions; a killed process repeats at most so many
SECONDS_BESIDE = 600.0  # that a run or the upkeep gives to captions; the next one goes on


class CaptionVectors(TypedDict):
    """How many captions lacked a vector, how many vectors were written and removed, and the model that searches use."""

    due: int
    embedded: int
    removed: int
    shown: str | None


@dataclass(frozen=True, slots=True)
class Work:
    """A collection under its text_model, the digest of the model's files, and the tables."""

    entry: Collection
    digest: str
    spaces: CaptionSpaces


def embed_captions(
    collection: Collection,
    settings: Settings,
    *,
    device: str = "cpu",
    seconds: float = math.inf,
    planned: Callable[[int], None] = lambda captions: None,
    progress: Callable[[int], None] = lambda done: None,
) -> CaptionVectors:
    """Embed new and changed captions under the collection's text_model; once all are embedded, searches use it.

    After about `seconds`, the rest is left for the next call. `planned` is called with the number of captions,
    and `progress` with the number of further ones done. Raises UserError if the collection has no text_model or no
    vectors, if the model cannot be used, or if another process embeds these captions.
    """
    end = time.monotonic() + seconds
    with alone(collection.name, settings):
        work = prepare(collection, settings)
        with connect(settings) as connection:
            removed = caption_vectors.remove_outdated(connection, work.spaces)
            due = caption_vectors.count_due(connection, work.spaces)
        planned(due)
        embedded = _embed_due(work, settings, device, end, progress) if due else 0
    shown = index_captions(work.entry, work.spaces, settings)
    log.info("caption vectors", collection=collection.name, due=due, embedded=embedded, removed=removed, shown=shown)
    return {"due": due, "embedded": embedded, "removed": removed, "shown": shown}


def keep_captions_embedded(collection: Collection, settings: Settings) -> CaptionVectors | None:
    """Embed captions as `embed_captions` does, if models run here (RUNNER=local); an error is a log line.

    Returns None if the collection has no text_model, if models run elsewhere, or after an error.
    """
    if collection.text_model is None or settings.runner != "local":
        return None
    try:
        return embed_captions(collection, settings, device=settings.device, seconds=SECONDS_BESIDE)
    except Exception as error:  # no torch, a model that does not load: searches by vectors of images go on
        log.warning("the captions were not embedded", collection=collection.name, reason=reason(error))
        return None


@contextmanager
def alone(collection: str, settings: Settings) -> Iterator[None]:
    """Keep other processes from embedding the same collection's captions during the block."""
    with connect(settings) as connection:
        if not caption_vectors.try_lock(connection, collection):
            raise UserError(f"the captions of {collection!r} are being embedded by another process: wait for its end")
        yield


def prepare(collection: Collection, settings: Settings) -> Work:
    """Check the model, and make the table of its vectors if it is missing."""
    model = collection.text_model
    if model is None:
        raise UserError(
            f"collection {collection.name!r} names no model for its captions: add `text_model` to its entry, see "
            "docs/captions.md"
        )
    from image_retrieval.models.text_encoder import describe_text_encoder

    folder = model_folder(model.source, model.revision, settings)
    described = describe_text_encoder(folder)
    if described is None:
        raise UserError(
            f"text_model {model.source!r} is no text embedding model, such as E5, BGE-M3, MiniLM or Qwen3-Embedding"
        )
    entry, digest = models.for_captions(collection), digest_of(folder)
    with connect(settings) as connection:
        shown = models.find_shown(connection, collection.name)
        if shown is None:
            raise UserError(
                f"collection {collection.name!r} has no vectors yet: run `image-retrieval run {collection.name}`"
            )
        if model.name in (shown.model, collection.model.name):
            raise UserError(f"text_model of collection {collection.name!r} has the name of its model: give it another")
        require_digest(digest, models.register_model(connection, entry, described), model.source)
        if not is_there(connection, entry.space):
            ensure_vector_table(connection, entry, described.dimensions)
            caption_vectors.describe_vectors(connection, entry.space)
        if models.has_moved(connection, entry):
            models.record_source(connection, entry)
        images = models.under(connection, collection, shown.model)
    return Work(entry, digest, CaptionSpaces(entry.space, images.space))


def _embed_due(work: Work, settings: Settings, device: str, end: float, progress: Callable[[int], None]) -> int:
    """Embed what has no vector, until a monotonic time. Returns the number of vectors that were written."""
    from image_retrieval.embedding.texts import TextEngine
    from image_retrieval.models.towers import text_tower

    engine = TextEngine(text_tower(work.entry.model, settings, device), work.entry.model.batch_size)
    require_digest(engine.tower.digest, work.digest, work.entry.model.source)
    written = after = 0
    while True:
        with connect(settings) as connection:
            captions = caption_vectors.read_due(connection, work.spaces, after, PART)
        if not captions:
            return written
        vectors = engine.embed([caption.text for caption in captions])
        written += write_vectors(work.entry, work.spaces, engine.tower.digest, captions, vectors, settings)
        after = captions[-1].id
        progress(len(captions))
        if time.monotonic() > end:
            return written


def write_vectors(
    entry: Collection,
    spaces: CaptionSpaces,
    digest: str,
    captions: Sequence[DueCaption],
    vectors: NDArray[np.float32],
    settings: Settings,
) -> int:
    """Store vectors (captions, dimensions) that the text_model with this digest made. Returns how many are new."""
    with connect(settings) as connection:
        models.record_digest(connection, entry, digest)
        return caption_vectors.write_vectors(connection, spaces, captions, vectors)


def index_captions(entry: Collection, spaces: CaptionSpaces, settings: Settings) -> str | None:
    """Index these vectors and fit their scores; searches compare them if they are complete, or there are no others.

    `entry`: the collection under its text_model. Returns the model whose vectors searches compare.
    """
    ensure_index(entry, settings)  # which waits for the ends of open transactions, as that of the lock
    keep_calibrated(entry, settings)
    shown = _show(spaces, settings)
    ensure_recall(entry, settings)
    ensure_vacuumed(entry.vector_table, settings)
    return shown


def _show(spaces: CaptionSpaces, settings: Settings) -> str | None:
    with connect(settings) as connection:
        former = caption_vectors.find_text_model(connection, spaces.captions.collection)
        if former is not None and caption_vectors.count_due(connection, spaces):
            return former
        caption_vectors.show(connection, spaces.captions, former)
        return spaces.captions.model
