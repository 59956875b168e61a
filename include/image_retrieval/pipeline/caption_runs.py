"""Captions in runs: once the vectors are there, plans shards of the images that are due, and stores their captions.

A run plans once. Its plan is a file beside its shards, so that later tasks know the captioner without its weights, and
a repeated task does the same again.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import structlog

from image_retrieval.caption_options import in_runs
from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.captioners import captioning_of, drawn_for
from image_retrieval.pipeline.captioning import read_captions, show_captions
from image_retrieval.pipeline.listing import write_manifests
from image_retrieval.pipeline.resampling import resample_shard
from image_retrieval.pipeline.table_images import at_version
from image_retrieval.settings import Settings
from image_retrieval.shards import KEPT_MANIFEST, Shard, captions_run, run_folder
from image_retrieval.store import captions, runs
from image_retrieval.store.captions import CaptionSpace
from image_retrieval.store.connection import connect

log = structlog.get_logger()
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A run's captioner and number of shards; `began` tells the run from a former one of its name."""

    space: CaptionSpace
    shards: int
    began: str


def plan_captions(collection: Collection, run_id: str, settings: Settings, *, shard_size: int | None = None) -> int:
    """Write manifests of the images that lack a caption of their present version. Returns the number of shards.

    There are none if the runs of the collection do not caption, or while another process captions it. A run that has
    planned keeps its plan. Raises UserError if the captioner's files cannot be used.
    """
    with connect(settings) as connection:
        run = runs.read_run(connection, collection.name, run_id)
    if run is None or not in_runs(collection.captions):
        return 0
    store, began = ObjectStore(settings), run["started_at"].isoformat()
    known = _read_plan(collection, run_id, settings)
    if known is not None and known.began == began:
        log.info("the run keeps its plan of captions", shards=known.shards)
        return known.shards
    store.delete_under(_folder(collection, run_id, settings))
    collection = at_version(collection, store, settings)
    captioning = captioning_of(collection, settings)
    size = shard_size or collection.shard_size
    most = min(size * collection.max_shards, captioning.most)
    shards = after = 0
    with connect(settings) as connection:
        if not captions.try_lock(connection, collection.name):
            log.warning("another process captions this collection: this run leaves the images to it")
            return 0
        while images := captions.read_due(connection, captioning.space, after, min(size, most - shards * size)):
            first = Shard(collection.name, captions_run(run_id), shards)
            write_manifests([captioning.pictures(images)], KEPT_MANIFEST, first, settings, captioning.facts)
            shards, after = shards + 1, images[-1].id
            if shards * size >= most:
                break
    plan = _Plan(captioning.space, shards, began)
    store.write(_plan_uri(collection, run_id, settings), json.dumps(asdict(plan)).encode())
    log.info("planned captions", shards=shards)
    return shards


def resample_for_captions(
    collection: Collection,
    run_id: str,
    shard: int,
    settings: Settings,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the packed pixels of a shard that its captioner reads. Raises as `resample_shard`."""
    resample_shard(drawn_for(collection), captions_run(run_id), shard, settings, progress=progress)


def write_shard_captions(collection: Collection, run_id: str, shard: int, settings: Settings) -> None:
    """Store a shard's captions and the reasons for those that are missing, in one transaction; again changes nothing.

    Raises UserError if an earlier stage's file is missing, or if the captioner's files have changed since the run was
    planned.
    """
    plan = _planned(collection, run_id, settings)
    files = Shard(collection.name, captions_run(run_id), shard).files(settings.work_uri)
    made = read_captions(files.resampled, files.captions, plan.space.languages, ObjectStore(settings))
    if made.digest != plan.space.digest:
        raise UserError(
            f"the files of captioner {plan.space.model!r} have changed meanwhile: the next run captions these images"
        )
    with connect(settings) as connection:
        written = captions.write_captions(connection, plan.space, made.captions, made.faults, settings.max_attempts)
        show_captions(connection, plan.space, complete=False)
    log.info("captions", shard=shard, captions=written, missing=len(made.faults))


def caption_run(
    collection: Collection,
    run_id: str,
    settings: Settings,
    *,
    device: str = "cpu",
    progress: Progress = lambda stage, done: None,
) -> None:
    """Caption the images that are due in this process, shard by shard."""
    shards = plan_captions(collection, run_id, settings)
    if not shards:
        return
    from image_retrieval.captioning.shard_captioner import shard_captioner

    assert collection.captions is not None
    captioner = shard_captioner(collection.captions, settings, device)
    for shard in range(shards):
        files = Shard(collection.name, captions_run(run_id), shard).files(settings.work_uri)
        resample_for_captions(collection, run_id, shard, settings)
        captioner.run(files.resampled, files.captions, lambda done: progress("caption", done))
        write_shard_captions(collection, run_id, shard, settings)


def finish_captions(collection: Collection, run_id: str, settings: Settings) -> None:
    """Note in the run's row how many captions it wrote, and how many images still lack one.

    If none does, the views show these captions from now on.
    """
    plan = _read_plan(collection, run_id, settings)
    if plan is None:
        return
    with connect(settings) as connection:
        due = captions.count_due(connection, plan.space)
        show_captions(connection, plan.space, complete=not due)
        runs.record_captions(connection, collection.name, run_id, plan.space.model, due)


def _folder(collection: Collection, run_id: str, settings: Settings) -> str:
    return run_folder(settings.work_uri, collection.name, captions_run(run_id))


def _plan_uri(collection: Collection, run_id: str, settings: Settings) -> str:
    return f"{_folder(collection, run_id, settings)}plan.json"


def _read_plan(collection: Collection, run_id: str, settings: Settings) -> _Plan | None:
    store, uri = ObjectStore(settings), _plan_uri(collection, run_id, settings)
    if not store.exists(uri):
        return None
    plan = _Plan(**json.loads(store.read(uri)))
    return replace(plan, space=CaptionSpace(**asdict(plan)["space"]))


def _planned(collection: Collection, run_id: str, settings: Settings) -> _Plan:
    plan = _read_plan(collection, run_id, settings)
    if plan is None:
        raise UserError(f"run {run_id!r} of collection {collection.name!r} has planned no captions")
    return plan
