"""Caption vectors in runs whose models run in pods: plans shards of captions, and stores their vectors.

A run plans once. Its plan is a file beside its shards, so that later tasks know the model without its weights, and a
repeated task does the same again.
"""

import json
from dataclasses import asdict, dataclass

import pyarrow as pa
import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.caption_vectors import PART, Work, alone, index_captions, prepare, write_vectors
from image_retrieval.pipeline.probing import uri_of
from image_retrieval.settings import Settings
from image_retrieval.shards import (
    TEXTS,
    Shard,
    caption_vectors_run,
    facts_of,
    reading,
    run_folder,
    table_of,
    writing,
)
from image_retrieval.spaces import VectorSpace
from image_retrieval.store import caption_vectors, models, runs
from image_retrieval.store.caption_vectors import CaptionSpaces, DueCaption
from image_retrieval.store.connection import connect

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run's text_model, the model of the images that its captions belong to, and the number of shards.

    `digest`: of the text_model's files. `began` tells the run from a former one of its name.
    """

    text_model: str
    digest: str
    images: str
    shards: int
    began: str

    def spaces(self, collection: str) -> CaptionSpaces:
        """The vector spaces of the captions and of the images."""
        return CaptionSpaces(VectorSpace(collection, self.text_model), VectorSpace(collection, self.images))


def plan_caption_vectors(
    collection: Collection, run_id: str, settings: Settings, *, shard_size: int | None = None
) -> int:
    """Write the captions that lack a vector as shards, and remove vectors without a caption. Returns how many shards.

    There are none if the run is unknown, or while another process embeds the captions. A run that has planned keeps its
    plan. Raises UserError if the text_model cannot be used.
    """
    with connect(settings) as connection:
        run = runs.read_run(connection, collection.name, run_id)
    if run is None:
        return 0
    began, known = run["started_at"].isoformat(), _read_plan(collection, run_id, settings)
    if known is not None and known.began == began:
        log.info("the run keeps its plan of caption vectors", shards=known.shards)
        return known.shards
    store = ObjectStore(settings)
    store.delete_under(run_folder(settings.work_uri, collection.name, caption_vectors_run(run_id)))
    with alone(collection.name, settings):
        work = prepare(collection, settings)
        with connect(settings) as connection:
            removed = caption_vectors.remove_outdated(connection, work.spaces)
        shards = _write_texts(work, run_id, shard_size or collection.shard_size, settings)
    plan = _Plan(work.entry.model.name, work.digest, work.spaces.images.model, shards, began)
    store.write(_plan_uri(collection, run_id, settings), json.dumps(asdict(plan)).encode())
    log.info("planned caption vectors", shards=shards, removed=removed)
    return shards


def _write_texts(work: Work, run_id: str, size: int, settings: Settings) -> int:
    """Write the captions that are due, in at most `max_shards` files of `size`. Returns the number of files."""
    store, collection = ObjectStore(settings), work.entry
    after = 0
    for shard in range(collection.max_shards):
        with connect(settings) as connection:
            due = caption_vectors.read_due(connection, work.spaces, after, size)
        if not due:
            return shard
        after = due[-1].id
        files = Shard(collection.name, caption_vectors_run(run_id), shard).files(settings.work_uri)
        with writing(store, files.manifest, TEXTS, compression="zstd") as file:
            file.write_table(table_of(due, TEXTS))
            file.add_key_value_metadata({"digest": work.digest, "probes": uri_of(collection, settings)})
    return collection.max_shards


def write_shard_vectors(collection: Collection, run_id: str, shard: int, settings: Settings) -> None:
    """Store the vectors of a shard's captions, but not of those that have changed; again changes nothing.

    Raises UserError if a file is missing, or other files of the model made the vectors than those of the plan.
    """
    plan, entry = _planned(collection, run_id, settings)
    files = Shard(collection.name, caption_vectors_run(run_id), shard).files(settings.work_uri)
    texts, vectors, digest = _read_shard(files.manifest, files.embeddings, ObjectStore(settings))
    if digest != plan.digest:
        raise UserError(
            f"the files of text_model {plan.text_model!r} have changed meanwhile: the next run embeds these captions"
        )
    written, spaces = 0, plan.spaces(collection.name)
    for first in range(0, len(texts), PART):
        captions = [DueCaption(**row) for row in texts.slice(first, PART).to_pylist()]
        part = vectors.slice(first, PART).flatten().to_numpy().reshape(len(captions), -1)
        written += write_vectors(entry, spaces, plan.digest, captions, part, settings)
    log.info("caption vectors", shard=shard, embedded=written)


def _read_shard(texts: str, embeddings: str, store: ObjectStore) -> tuple[pa.Table, pa.FixedSizeListArray, str | None]:
    """A shard's texts, their vectors, and the digest of the model that made them."""
    with reading(store, texts) as file:
        asked = file.read()
    with reading(store, embeddings) as file:
        made, digest = file.read(), facts_of(file).get("digest")
    if asked["id"].to_pylist() != made["id"].to_pylist():
        raise ValueError(f"{embeddings} does not belong to {texts}: delete both, and run again")
    return asked, made["embedding"].combine_chunks(), digest


def finish_caption_vectors(collection: Collection, run_id: str, settings: Settings) -> str | None:
    """Index the vectors; searches compare them once all captions have one. Returns the model that searches use.

    Does nothing if the run has not planned.
    """
    if _read_plan(collection, run_id, settings) is None:
        return None
    plan, entry = _planned(collection, run_id, settings)
    shown = index_captions(entry, plan.spaces(collection.name), settings)
    log.info("caption vectors", shown=shown)
    return shown


def _plan_uri(collection: Collection, run_id: str, settings: Settings) -> str:
    return f"{run_folder(settings.work_uri, collection.name, caption_vectors_run(run_id))}plan.json"


def _read_plan(collection: Collection, run_id: str, settings: Settings) -> _Plan | None:
    store, uri = ObjectStore(settings), _plan_uri(collection, run_id, settings)
    return _Plan(**json.loads(store.read(uri))) if store.exists(uri) else None


def _planned(collection: Collection, run_id: str, settings: Settings) -> tuple[_Plan, Collection]:
    """The run's plan, and the collection under its text_model."""
    plan, entry = _read_plan(collection, run_id, settings), models.for_captions(collection)
    if plan is None:
        raise UserError(f"run {run_id!r} of collection {collection.name!r} has planned no vectors of captions")
    if plan.text_model != entry.model.name:
        raise UserError(f"text_model {plan.text_model!r} was replaced meanwhile: the next run embeds the captions")
    return plan, entry
