"""The bodies of the tasks: each calls one stage of the library. Tasks pass only URIs and counts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from airflow.sdk import Asset, Metadata, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from image_retrieval.collection import Collection
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from orchestration.arguments import embed_arguments, map_label, share_out
from orchestration.configuration import CPU_POOL, LABEL, MAP_LABEL, declared_collection, task_settings
from orchestration.failures import told_in_one_line
from orchestration.watching import is_hinted

log = structlog.get_logger()


@contextmanager
def stage(collection: str, part: str = "") -> Iterator[tuple[Collection, str, Settings]]:
    """The collection, the run's id and the settings; log lines name collection and run.

    `part` is added to the DAG run's id if the DAG run consists of several runs of the library.
    """
    context = get_current_context()
    run_id = str(context["run_id"]) + part
    with told_in_one_line(), structlog.contextvars.bound_contextvars(collection=collection, run=run_id):
        yield declared_collection(collection), run_id, task_settings()


@task(execution_timeout=timedelta(hours=12))  # URLs are asked one by one
def list_images(collection: str) -> list[dict[str, Any]]:
    """List the bucket, and plan shards. Returns the shards and the arguments of each mapped task."""
    from image_retrieval.pipeline import listing

    context = get_current_context()
    params = context["params"]
    dry_run = bool(params["dry_run"])
    with stage(collection) as (entry, run_id, settings):
        plan = listing.list_images(
            entry,
            run_id,
            settings,
            full=params["full"],
            requeue=params["requeue"],
            shard_size=params["shard_size"],
            dry_run=dry_run,
            hinted=is_hinted(context),
        )
        return [] if dry_run or not plan.shards else shard_arguments(entry, run_id, settings)


def shard_arguments(collection: Collection, run_id: str, settings: Settings) -> list[dict[str, Any]]:
    """For each mapped task of a run, the numbers of its shards and the arguments that embed them."""
    from image_retrieval.shards import Shard
    from image_retrieval.store.connection import connect
    from image_retrieval.store.models import models_of

    with connect(settings) as connection:
        entries = models_of(connection, collection, run_id)
    files = [Shard(collection.name, run_id, shard).files(settings.work_uri) for shard in range(len(entries))]
    return [
        {
            "shards": shards,
            "arguments": embed_arguments(
                entries[shards[0]], [(files[shard].resampled, files[shard].embeddings) for shard in shards]
            ),
        }
        for shards in share_out([entry.model.name for entry in entries])
    ]


def each(shards: list[int], process: Callable[[int], None]) -> None:
    """Process shards one after another. One that fails does not keep the others from their turn; then the first raises.

    Log lines name the shard.
    """
    get_current_context()[LABEL] = map_label(shards)  # type: ignore[literal-required]
    failed: list[Exception] = []
    for shard in shards:
        with structlog.contextvars.bound_contextvars(shard=shard):
            try:
                process(shard)
            except Exception as error:
                if len(shards) == 1:
                    raise
                log.error("the shard failed; the task's other shards go on", reason=f"{type(error).__name__}: {error}")
                failed.append(error)
    if failed:
        raise failed[0]


@task(execution_timeout=timedelta(hours=6), pool=CPU_POOL, map_index_template=MAP_LABEL)
def resample(collection: str, shards: list[int], part: str = "") -> None:
    """Turn the images of shards into packed pixels, on all cores of the worker."""
    from image_retrieval.imaging.kept_decoders import keeping_decoders
    from image_retrieval.pipeline.resampling import resample_shard

    with keeping_decoders(), stage(collection, part) as (entry, run_id, settings):
        each(shards, lambda shard: resample_shard(entry, run_id, shard, settings))


@task(execution_timeout=timedelta(hours=1), map_index_template=MAP_LABEL)
def upsert(collection: str, shards: list[int], part: str = "") -> None:
    """Load the vectors and rejections of shards into the tables, each shard in one transaction."""
    from image_retrieval.pipeline.upserting import upsert_shard

    with stage(collection, part) as (entry, run_id, settings):
        each(shards, lambda shard: upsert_shard(entry, run_id, shard, settings))


@task(execution_timeout=timedelta(hours=12), trigger_rule="all_done")
def index(collection: str) -> None:
    """Update view and index with the loaded shards."""
    from image_retrieval.pipeline.finishing import index_vectors, run_is_known

    with stage(collection) as (entry, run_id, settings):
        if get_current_context()["params"]["dry_run"]:
            raise AirflowSkipException("a dry run changes nothing")
        if not run_is_known(entry, run_id, settings):
            raise AirflowSkipException("nothing was listed")
        index_vectors(entry, run_id, settings)


@task(execution_timeout=timedelta(hours=2))
def recall(collection: str) -> None:
    """Measure recall, raise `ef_search` until it reaches the target, and fit the scores of searches if needed."""
    from image_retrieval.pipeline.finishing import measure_recall

    with stage(collection) as (entry, _, settings):
        measure_recall(entry, settings)


def report_task(collection: str) -> Any:
    """The last task: it reports the run's result, fails if a shard is missing, and updates the collection's asset."""
    asset = Asset(name=f"images.{collection}", uri=f"x-image-retrieval://{collection}")

    @task(execution_timeout=timedelta(hours=1), trigger_rule="all_done", outlets=[asset])
    def report(collection: str) -> Iterator[Metadata]:
        """Close the run in `retrieval.run`; fails if a shard is missing."""
        from image_retrieval.pipeline.finishing import finish_run

        with stage(collection) as (entry, run_id, settings):
            if get_current_context()["params"]["dry_run"]:
                raise AirflowSkipException("a dry run changes nothing; see the log of list_images")
            found = finish_run(entry, run_id, settings)
            log.info("finished", **{key: value for key, value in found.items() if key not in ("collection", "run_id")})
            if found["state"] != "success":
                missing = ", ".join(f"{shard:05}" for shard in found["missing_shards"])
                raise UserError(
                    f"shards {missing} of {found['shards']} are not loaded: see the logs of their tasks; "
                    "clear them to try again, or let the next run take their images"
                    if missing
                    else "nothing was listed: see the log of list_images"
                )
        counts = ("listed", "new", "changed", "restored", "gone", "embedded", "upserted", "rejected", "left_over")
        figures: dict[str, Any] = {**found}
        yield Metadata(asset, {"run_id": run_id, **{name: figures[name] for name in counts}})

    return report(collection)
