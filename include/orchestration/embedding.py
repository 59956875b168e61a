"""The task that embeds shards: in a GPU pod, or by the same command in a process on the worker's machine."""

from airflow.sdk import BaseOperator

from image_retrieval.settings import load_settings
from orchestration.processes import EmbeddingProcessOperator


def embeds_in_pods() -> bool:
    """Whether shards are embedded in pods of a cluster."""
    return load_settings().runner == "kubernetes"


def embed(collection: str, shards: list[int], arguments: list[str]) -> BaseOperator:
    """The operator that embeds packed shards, chosen by the setting `runner`."""
    if not embeds_in_pods():
        return EmbeddingProcessOperator(shards=shards, arguments=arguments)
    from orchestration.pods import EmbeddingPodOperator  # a second of imports, which other DAG files do not need

    return EmbeddingPodOperator(collection=collection, shards=shards, arguments=arguments)
