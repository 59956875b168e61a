"""The tasks that embed the captions of a collection in pods, once a run has its captions."""

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowSkipException

from image_retrieval.collection import Collection
from orchestration.arguments import share_out, text_arguments
from orchestration.configuration import MAP_LABEL
from orchestration.embedding import embeds_in_pods
from orchestration.tasks import each, stage


def embeds_captions_in_pods(collection: Collection) -> bool:
    """Whether the runs of a collection embed its captions in pods; else the stage `report` does so here."""
    return collection.text_model is not None and embeds_in_pods()


def caption_vectors(collection: str, after: list[Any], last: Any) -> Any:
    """All tasks of the stage, between the tasks `after` and `last` of the DAG. Returns the mapped group."""

    @task_group(group_id="caption_vectors")
    def shard(shards: list[int], arguments: list[str]) -> None:
        embed_texts(collection, shards, arguments) >> write_caption_vectors(collection, shards)

    planned = plan_caption_vectors(collection)
    after >> planned
    shards = shard.expand_kwargs(planned)
    shards >> index_captions(collection) >> last
    return shards


@task(execution_timeout=timedelta(hours=3), trigger_rule="all_done")
def plan_caption_vectors(collection: str) -> list[dict[str, Any]]:
    """Plan shards of the captions without a vector. Returns the shards and the arguments of each mapped task."""
    from image_retrieval.pipeline import caption_vector_runs
    from image_retrieval.shards import Shard, caption_vectors_run

    params = get_current_context()["params"]
    if params["dry_run"]:
        raise AirflowSkipException("a dry run changes nothing")
    with stage(collection) as (entry, run_id, settings):
        count = caption_vector_runs.plan_caption_vectors(entry, run_id, settings, shard_size=params["shard_size"])
        shards = [Shard(entry.name, caption_vectors_run(run_id), shard) for shard in range(count)]
        files = [shard.files(settings.work_uri) for shard in shards]
        model = entry.text_model
        if model is None:
            return []
        return [
            {
                "shards": numbers,
                "arguments": text_arguments(
                    model, [(files[number].manifest, files[number].embeddings) for number in numbers]
                ),
            }
            for numbers in share_out([model.name] * count)
        ]


def embed_texts(collection: str, shards: list[int], arguments: list[str]) -> BaseOperator:
    """The operator that embeds shards of captions in a pod."""
    from orchestration.pods import EmbeddingPodOperator  # a second of imports, which other DAG files do not need

    name = f"embed-texts-{collection}".replace("_", "-")
    return EmbeddingPodOperator(collection=collection, shards=shards, arguments=arguments, name=name)


@task(task_id="write", execution_timeout=timedelta(hours=1), map_index_template=MAP_LABEL)
def write_caption_vectors(collection: str, shards: list[int]) -> None:
    """Store the vectors of shards of captions."""
    from image_retrieval.pipeline import caption_vector_runs

    with stage(collection) as (entry, run_id, settings):
        each(shards, lambda shard: caption_vector_runs.write_shard_vectors(entry, run_id, shard, settings))


@task(execution_timeout=timedelta(hours=12), trigger_rule="all_done")
def index_captions(collection: str) -> None:
    """Update the index of the caption vectors; searches compare them once all captions have one."""
    from image_retrieval.pipeline import caption_vector_runs

    with stage(collection) as (entry, run_id, settings):
        if get_current_context()["params"]["dry_run"]:
            raise AirflowSkipException("a dry run changes nothing")
        caption_vector_runs.finish_caption_vectors(entry, run_id, settings)
