"""The arguments of `image-retrieval` that embed a shard, in a process or in a pod."""

from collections.abc import Sequence

from image_retrieval.collection import Collection
from image_retrieval.settings import load_settings

BATCH_SIZE = "--batch-size="
WHAT = slice(0, 3)  # of the arguments: the command, its input and its output
MAP_LABEL = "shard {{ task.arguments[2].rsplit('/', 1)[1].removesuffix('.parquet') }}"  # the output file


def embed_arguments(collection: Collection, resampled: str, embeddings: str) -> list[str]:
    """The arguments that embed one shard of a collection with the setting `runner`."""
    model = collection.model
    settings = load_settings()
    in_pod_without_gpu = settings.runner == "kubernetes" and not settings.pod_gpus  # else as the image says
    return [
        "embed",
        resampled,
        embeddings,
        f"--model={model.source}",
        *([f"--revision={model.revision}"] if model.revision else []),
        f"--dtype={model.dtype}",
        f"{BATCH_SIZE}{model.batch_size}",
        "--use-cls-token" if model.use_cls_token else "--no-use-cls-token",
        *(["--device=cpu"] if in_pod_without_gpu else []),
    ]


def batch_size_of(arguments: Sequence[str]) -> int:
    """The batch size in the arguments, in images."""
    return next(int(given.removeprefix(BATCH_SIZE)) for given in arguments if given.startswith(BATCH_SIZE))


def with_batch_size(arguments: Sequence[str], size: int) -> list[str]:
    """The same arguments with another batch size."""
    return [f"{BATCH_SIZE}{size}" if given.startswith(BATCH_SIZE) else given for given in arguments]
