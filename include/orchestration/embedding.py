"""The task that embeds a shard: in a GPU pod, or by the same command in a process of the worker's machine."""

from airflow.sdk import BaseOperator

from image_retrieval.collection import Collection
from image_retrieval.settings import load_settings
from orchestration.processes import EmbeddingProcessOperator


def embed(collection: Collection, resampled: str, embeddings: str) -> BaseOperator:
    """The operator that embeds one packed shard, where the setting `runner` says."""
    settings = load_settings()
    if settings.runner == "local":
        return EmbeddingProcessOperator(arguments=embed_arguments(collection, resampled, embeddings))
    from orchestration.pods import EmbeddingPodOperator  # a second of imports, which other DAG files need not pay

    device = "cuda" if settings.pod_gpus else "cpu"
    return EmbeddingPodOperator(
        collection=collection.name, arguments=embed_arguments(collection, resampled, embeddings, f"--device={device}")
    )


def embed_arguments(collection: Collection, resampled: str, embeddings: str, *more: str) -> list[str]:
    """The arguments of `image-retrieval` that embed one shard of a collection."""
    model = collection.model
    return [
        "embed",
        resampled,
        embeddings,
        f"--model={model.source}",
        *([f"--revision={model.revision}"] if model.revision else []),
        f"--dtype={model.dtype}",
        f"--batch-size={model.batch_size}",
        "--use-cls-token" if model.use_cls_token else "--no-use-cls-token",
        *more,
    ]
