"""Commands that run the stages of a collection."""

import argparse
import signal
import uuid
from datetime import UTC, datetime
from typing import NoReturn

from image_retrieval.commands.collections import listed_collection, searchable_collection
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.settings import Settings


def new_run_id() -> str:
    """A unique name that sorts by time."""
    return f"cli__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}_{uuid.uuid4().hex[:6]}"


def plan(options: argparse.Namespace, settings: Settings) -> None:
    """Compare the bucket with the table, and divide the images to embed into shards."""
    from dataclasses import asdict

    from image_retrieval.pipeline.listing import list_images

    collection = listed_collection(settings, options.collection)
    run_id = options.run or new_run_id()
    plan = list_images(
        collection,
        run_id,
        settings,
        full=options.full,
        requeue=options.requeue,
        hinted=options.hinted,
        shard_size=options.shard_size,
        dry_run=options.dry_run,
    )
    print_json({"run": None if options.dry_run else run_id, **asdict(plan)})


def _shards(options: argparse.Namespace, settings: Settings) -> list[int]:
    if options.shard is not None:
        return [options.shard]
    from image_retrieval.store.connection import connect
    from image_retrieval.store.runs import read_run

    with connect(settings) as connection:
        run = read_run(connection, options.collection, options.run)
    if run is None:
        raise UserError(f"collection {options.collection!r} has no run {options.run!r}: `list` creates one")
    return list(range(run["shards"]))


def resample(options: argparse.Namespace, settings: Settings) -> None:
    """Resample the images of a run's shards into packed pixels."""
    from image_retrieval.imaging.kept_decoders import keeping_decoders
    from image_retrieval.pipeline.resampling import resample_shard
    from image_retrieval.progress import stage_progress

    collection = listed_collection(settings, options.collection)
    with keeping_decoders(), stage_progress(("resample",)) as show:
        for shard in _shards(options, settings):
            resample_shard(collection, options.run, shard, settings, progress=lambda done: show("resample", done))


def upsert(options: argparse.Namespace, settings: Settings) -> None:
    """Load the vectors of a run's shards into the tables."""
    from image_retrieval.pipeline.upserting import upsert_shard

    collection = listed_collection(settings, options.collection)
    for shard in _shards(options, settings):
        upsert_shard(collection, options.run, shard, settings)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run all stages of a collection here, without Airflow."""
    from image_retrieval.pipeline.running import run_collection
    from image_retrieval.progress import stage_progress

    for ending in (signal.SIGTERM, signal.SIGHUP):  # without a handler they would leave the run open
        signal.signal(ending, _end)
    collection = listed_collection(settings, options.collection)
    with stage_progress(("resample", "embed", "caption")) as show:
        report = run_collection(
            collection,
            options.run or new_run_id(),
            settings,
            device=options.device or settings.device,
            full=options.full,
            requeue=options.requeue,
            hinted=options.hinted,
            shard_size=options.shard_size,
            planned=lambda plan: show.expect(plan.new + plan.changed - plan.left_over),
            progress=show,
        )
    print_json(report)
    return 0 if report["state"] == "success" and "captions_failed" not in report else 1


def _end(*received: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def upkeep(options: argparse.Namespace, settings: Settings) -> None:
    """Remove images deleted long ago and vectors of former models, and update index, duplicates, scores and map."""
    from image_retrieval.pipeline.models_in_use import drop_expired_vectors
    from image_retrieval.pipeline.upkeep import (
        finish_changes,
        keep_index,
        keep_map,
        keep_scores,
        kept_collections,
        refresh_duplicates,
        remove_deleted,
    )
    from image_retrieval.store.collections import dropped_meanwhile

    name = options.collection
    kept = kept_collections(settings).get(name)
    if kept is None:
        listed_collection(settings, name)  # raises for a wrong name
        raise UserError(f"collection {name!r} has no vectors yet: run `image-retrieval run {name}`")
    if not kept.listed:
        searchable_collection(settings, name)  # reports that it is not in the file
    dropped = drop_expired_vectors(settings, dry_run=options.dry_run)
    with dropped_meanwhile(name, settings):
        report = {"dropped": dropped, **remove_deleted(kept, settings, dry_run=options.dry_run)}
        if not options.dry_run:
            report |= {"pending": finish_changes(settings), **keep_index(kept, settings)}
            report |= {"duplicates": refresh_duplicates(kept, settings), "scores": keep_scores(kept, settings)}
            report |= keep_map(kept, settings) or {}
    print_json(report)


def map_images(options: argparse.Namespace, settings: Settings) -> None:
    """Make or update the map of a collection, and list its clusters."""
    from dataclasses import asdict

    from image_retrieval.pipeline.mapping import keep_mapped
    from image_retrieval.pipeline.upkeep import kept_collections
    from image_retrieval.store.connection import connect
    from image_retrieval.store.maps import list_clusters

    name = options.collection
    kept = kept_collections(settings).get(name)
    if kept is None or not kept.listed:
        listed_collection(settings, name)  # raises for a wrong name, and for one that is no longer in the file
        raise UserError(f"collection {name!r} has no vectors yet: run `image-retrieval run {name}`")
    done = keep_mapped(kept.collection, settings)
    with connect(settings) as connection:
        clusters = list_clusters(connection, name)
    print_json({**done, "clusters": [asdict(cluster) for cluster in clusters]})
