"""Upsert: loads a shard's vectors and rejections into the tables, in one transaction."""

import time
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.shards import Shard, ShardFiles, facts_of, reading, seconds_spent
from image_retrieval.store import loading, models, runs, switches
from image_retrieval.store.connection import Connection, connect
from image_retrieval.store.loading import RejectedImage, ShardCounts
from image_retrieval.store.locks import keep_removals_out

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Embedded:
    """What the earlier stages made of a shard.

    The tables have the columns of packed pixels, without these; `vectors` are those of the `usable` images, `failed`
    are those that the model made none of, with its reasons.
    """

    images: int
    usable: pa.Table
    vectors: pa.ChunkedArray
    unusable: pa.Table
    failed: pa.Table
    digest: str
    resample_seconds: float
    embed_seconds: float


def upsert_shard(collection: Collection, run_id: str, shard: int, settings: Settings) -> None:
    """Write a shard's new and changed rows, and its row in `retrieval.shard`, all or nothing.

    Does nothing if that row exists. Raises UserError if an earlier stage's file is missing, or if other model files
    made the vectors than those of earlier shards.
    """
    started = time.monotonic()
    this = Shard(collection.name, run_id, shard)
    made = _read_embedded(this.files(settings.work_uri), ObjectStore(settings))
    usable, vectors = made.usable, made.vectors
    with connect(settings) as connection:
        if loading.shard_is_loaded(connection, this):
            log.info("already upserted", shard=shard)
            return
        planned = runs.find_run(connection, collection.name, run_id)
        entry = models.models_of(connection, collection, run_id)[shard]
        # only a shard of the run's own model updates the facts of images; others add vectors
        leads = planned.switch is None and entry.model.name == planned.model
        also = models.under(connection, collection, planned.also) if leads and planned.also else None
        rejections = _rejections("embed", entry.model.name, made.failed)
        if leads:
            rejections = _rejections("resample", None, made.unusable) + rejections
        elif planned.switch is not None:
            keep_removals_out(connection, collection.name)  # before the images, as removals do
            present = _present(connection, usable)
            usable, vectors = usable.filter(present), vectors.filter(present)
        models.record_digest(connection, entry, made.digest)
        models.record_source(connection, entry)
        upserted = loading.load_vectors(connection, entry, usable, vectors, facts=leads) if len(usable) else 0
        loading.write_rejections(connection, entry, run_id, rejections, settings.max_attempts, also=also)
        seconds = time.monotonic() - started
        counts = ShardCounts(
            images=made.images,
            resampled=made.images - len(made.unusable),
            embedded=len(made.usable),
            upserted=upserted,
            rejected=len(rejections),
            resample_seconds=made.resample_seconds,
            embed_seconds=made.embed_seconds,
            upsert_seconds=seconds,
        )
        loading.write_shard(connection, this, counts)
    log.info("upserted", shard=shard, vectors=upserted, rejected=len(rejections), seconds=round(seconds, 2))


def _read_embedded(files: ShardFiles, store: ObjectStore) -> _Embedded:
    """Both files of a shard, without pixels. Raises UserError where one is missing, or does not tell its model."""
    with reading(store, files.resampled) as file:
        images = file.read([name for name in file.schema_arrow.names if name != "pixels"])
        resample_seconds = seconds_spent(file)
    with reading(store, files.embeddings) as file:
        vectors = file.read()
        embed_seconds = seconds_spent(file)
        digest = facts_of(file).get("digest")
    resampled = images.filter(pc.is_null(images["reason"]))
    if not resampled["id"].equals(vectors["id"]):
        raise ValueError(f"{files.embeddings} does not belong to {files.resampled}: delete both, and run again")
    if digest is None:
        raise UserError(f"{files.embeddings} does not contain the digest of its model: delete it, and run again")
    embedded = pc.is_valid(vectors["embedding"])
    failed = resampled.filter(pc.invert(embedded)).select(["uri", "etag"])
    for name in ("reason", "detail"):
        failed = failed.append_column(name, vectors.filter(pc.invert(embedded))[name])
    return _Embedded(
        images=len(images),
        usable=resampled.filter(embedded),
        vectors=vectors.filter(embedded)["embedding"],
        unusable=images.filter(pc.is_valid(images["reason"])),
        failed=failed,
        digest=digest,
        resample_seconds=resample_seconds,
        embed_seconds=embed_seconds,
    )


def _present(connection: Connection, images: pa.Table) -> pa.ChunkedArray:
    """Which of these images still have the embedded version; they keep it until the transaction ends."""
    present = switches.lock_present(connection, images["id"].to_pylist(), images["etag"].to_pylist())
    return pc.is_in(images["id"], pa.array(present, pa.int64()))


def _rejections(stage: str, model: str | None, images: pa.Table) -> list[RejectedImage]:
    rows = images.select(["uri", "etag", "reason", "detail"]).to_pylist()
    return [RejectedImage(row["uri"], row["etag"], stage, model, row["reason"], row["detail"] or "") for row in rows]
