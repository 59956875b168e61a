"""The tasks that caption the images of a run, once its vectors are there."""

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from image_retrieval.caption_options import in_runs
from image_retrieval.collection import Collection
from image_retrieval.settings import load_settings
from orchestration.arguments import caption_arguments, share_out
from orchestration.configuration import CPU_POOL, MAP_LABEL
from orchestration.embedding import embeds_in_pods
from orchestration.processes import EmbeddingProcessOperator
from orchestration.tasks import each, stage


def captions_in_runs(collection: Collection) -> bool:
    """Whether the runs of a collection caption its images."""
    return in_runs(collection.captions)


@task(execution_timeout=timedelta(hours=3), trigger_rule="all_done")
def plan_captions(collection: str) -> list[dict[str, Any]]:
    """Plan shards of the images without a caption. Returns the shards and the arguments of each mapped task."""
    from image_retrieval.pipeline import caption_runs
    from image_retrieval.shards import Shard, captions_run

    params = get_current_context()["params"]
    if params["dry_run"]:
        raise AirflowSkipException("a dry run changes nothing")
    with stage(collection) as (entry, run_id, settings):
        count = caption_runs.plan_captions(entry, run_id, settings, shard_size=params["shard_size"])
        files = [Shard(entry.name, captions_run(run_id), shard).files(settings.work_uri) for shard in range(count)]
        options = entry.captions
        if options is None or not files:
            return []
        # one process, since it counts the endpoint's budget
        tasks = share_out([options.captioner.name] * count) if options.model else [list(range(count))]
        return [
            {
                "shards": shards,
                "arguments": caption_arguments(
                    options, [(files[shard].resampled, files[shard].captions) for shard in shards]
                ),
            }
            for shards in tasks
        ]


@task(task_id="resample", execution_timeout=timedelta(hours=6), pool=CPU_POOL, map_index_template=MAP_LABEL)
def resample_for_captions(collection: str, shards: list[int]) -> None:
    """Turn images into the packed pixels that the captioner reads, on all cores of the worker."""
    from image_retrieval.imaging.kept_decoders import keeping_decoders
    from image_retrieval.pipeline import caption_runs

    with keeping_decoders(), stage(collection) as (entry, run_id, settings):
        each(shards, lambda shard: caption_runs.resample_for_captions(entry, run_id, shard, settings))


def caption(collection: Collection, shards: list[int], arguments: list[str]) -> BaseOperator:
    """The operator that captions packed shards, chosen by the setting `runner`. An endpoint needs no GPU."""
    by_model = collection.captions is not None and collection.captions.model is not None
    options: dict[str, Any] = {"task_id": "caption"} | ({} if by_model else {"pool": "default_pool"})
    if not embeds_in_pods():
        return EmbeddingProcessOperator(shards=shards, arguments=arguments, **options)
    from orchestration.pod_spec import pod_resources
    from orchestration.pods import EmbeddingPodOperator  # a second of imports, which other DAG files do not need

    options |= {} if by_model else {"container_resources": pod_resources(load_settings(), 0)}
    name = f"caption-{collection.name}".replace("_", "-")
    return EmbeddingPodOperator(collection=collection.name, shards=shards, arguments=arguments, name=name, **options)


@task(task_id="write", execution_timeout=timedelta(hours=1), map_index_template=MAP_LABEL)
def write_captions(collection: str, shards: list[int]) -> None:
    """Store the captions of shards, each shard in one transaction."""
    from image_retrieval.pipeline import caption_runs

    with stage(collection) as (entry, run_id, settings):
        each(shards, lambda shard: caption_runs.write_shard_captions(entry, run_id, shard, settings))
