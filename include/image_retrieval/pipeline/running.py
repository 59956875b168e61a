"""Runs all stages in this process, one after another: `image-retrieval run`, without Airflow."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.imaging.kept_decoders import keeping_decoders
from image_retrieval.pipeline.caption_runs import caption_run
from image_retrieval.pipeline.finishing import FinishedRun, fail_run, finish_run, index_vectors, measure_recall
from image_retrieval.pipeline.listing import list_images
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.upserting import upsert_shard
from image_retrieval.settings import Settings
from image_retrieval.shards import Shard
from image_retrieval.store import models
from image_retrieval.store.collections import dropped_meanwhile
from image_retrieval.store.connection import connect
from image_retrieval.store.runs import RunPlan

log = structlog.get_logger()
Progress = Callable[[str, int], None]


def run_collection(
    collection: Collection,
    run_id: str,
    settings: Settings,
    *,
    device: str = "cpu",
    full: bool = False,
    requeue: bool = False,
    shard_size: int | None = None,
    hinted: bool = False,
    planned: Callable[[RunPlan], None] = lambda plan: None,
    progress: Progress = lambda stage, done: None,
) -> FinishedRun:
    """List, resample, embed, upsert, index, measure recall, caption, report. Returns the run's report.

    If captioning fails, the report says why; the vectors are not affected.

    `planned` is called with the plan, and `progress` with each stage and the number of further images done.
    """
    with (
        structlog.contextvars.bound_contextvars(collection=collection.name, run=run_id),
        _closed_if_it_fails(collection, run_id, settings),
        keeping_decoders(),
    ):
        plan = list_images(
            collection, run_id, settings, full=full, requeue=requeue, shard_size=shard_size, hinted=hinted
        )
        planned(plan)
        run_shards(collection, run_id, settings, device=device, progress=progress)
        with dropped_meanwhile(collection.name, settings):
            index_vectors(collection, run_id, settings)
            measure_recall(collection, settings)
        failed = _captioned(collection, run_id, settings, device, progress)
        report = finish_run(collection, run_id, settings)
        return {**report, "captions_failed": failed} if failed else report


def _captioned(collection: Collection, run_id: str, settings: Settings, device: str, progress: Progress) -> str | None:
    """Caption the images that are due. Returns why that failed, if it did."""
    try:
        caption_run(collection, run_id, settings, device=device, progress=progress)
    except UserError as error:
        told = str(error)
    except Exception as error:
        log.exception("captioning failed")
        told = " ".join(f"{type(error).__name__}: {error}".split())
    else:
        return None
    log.error("captioning failed; the vectors are there", reason=told)
    return told


@contextmanager
def _closed_if_it_fails(collection: Collection, run_id: str, settings: Settings) -> Iterator[None]:
    """Close the run as failed if an error, Ctrl-C or a signal ends the block."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the database itself may have failed
            fail_run(collection, run_id, settings)
        raise


def run_shards(
    collection: Collection,
    run_id: str,
    settings: Settings,
    *,
    device: str = "cpu",
    progress: Progress = lambda stage, done: None,
) -> None:
    """Resample, embed and upsert each shard of a planned run."""
    with connect(settings) as connection:
        entries = models.models_of(connection, collection, run_id)
    with keeping_decoders():
        for shard, entry in enumerate(entries):
            resample_shard(entry, run_id, shard, settings, progress=lambda done: progress("resample", done))
            embed(entry, run_id, shard, settings, device, lambda done: progress("embed", done))
            upsert_shard(entry, run_id, shard, settings)


def embed(
    collection: Collection, run_id: str, shard: int, settings: Settings, device: str, progress: Callable[[int], None]
) -> None:
    """Embed one shard in this process. The model stays loaded for the next one."""
    from image_retrieval.embedding.backends import load_engine
    from image_retrieval.embedding.embed_shard import embed_shard

    files = Shard(collection.name, run_id, shard).files(settings.work_uri)
    embed_shard(
        files.resampled,
        files.embeddings,
        collection.model,
        lambda: load_engine(collection.model, settings, device),
        settings,
        progress=progress,
    )
