"""Divides the shards of a run among mapped tasks; the arguments that embed them, in a process or in a pod."""

import math
from collections.abc import Sequence
from itertools import groupby

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.settings import load_settings

BATCH_SIZE = "--batch-size="
CAPTION = "caption-shards"
TEXTS = "embed-texts"
HALVED = ("embed", CAPTION, TEXTS)  # commands that may run with smaller batches when memory is short
MAX_MAPPED = 200  # with more mapped task groups, Airflow's scheduler slows down: its issues 29959 and 45991


def share_out(models: Sequence[str]) -> list[list[int]]:
    """Divide the shards of a run, given as the name of each one's model, among at most MAX_MAPPED tasks, in order.

    A task has shards of one model. It has one shard, if there are no more than that.
    """
    runs = [[shard for shard, _ in run] for _, run in groupby(enumerate(models), key=lambda shard: shard[1])]
    sizes = range(1, len(models) + 2)
    size = next(size for size in sizes if sum(math.ceil(len(run) / size) for run in runs) <= MAX_MAPPED)
    return [run[start : start + size] for run in runs for start in range(0, len(run), size)]


def span(shards: Sequence[int], digits: int = 1) -> str:
    """The numbers of a task's shards: `7`, or `5-9`."""
    return "-".join(f"{shard:0{digits}}" for shard in sorted({shards[0], shards[-1]}))


def map_label(shards: Sequence[int]) -> str:
    """The name of a mapped task: its shards, as their files are called."""
    return f"shard{'s' if len(shards) > 1 else ''} {span(shards, 5)}"


def embed_arguments(collection: Collection, files: Sequence[tuple[str, str]]) -> list[str]:
    """The arguments that embed shards of a collection with the setting `runner`.

    `files` are the URIs of each shard's packed pixels and of its vectors.
    """
    model = collection.model
    return [
        "embed",
        *(uri for pair in files for uri in pair),
        f"--model={model.source}",
        *([f"--revision={model.revision}"] if model.revision else []),
        f"--dtype={model.dtype}",
        f"{BATCH_SIZE}{model.batch_size}",
        "--use-cls-token" if model.use_cls_token else "--no-use-cls-token",
        *_device(),
    ]


def caption_arguments(options: CaptionOptions, files: Sequence[tuple[str, str]]) -> list[str]:
    """The arguments that caption shards with the setting `runner`.

    `files` are the URIs of each shard's packed pixels and of its captions.
    """
    return [
        CAPTION,
        *(uri for pair in files for uri in pair),
        f"--captions={options.model_dump_json(exclude_defaults=True)}",
        *([f"{BATCH_SIZE}{options.model.batch_size}"] if options.model else []),
        *_device(),
    ]


def text_arguments(model: ModelOptions, files: Sequence[tuple[str, str]]) -> list[str]:
    """The arguments that embed shards of captions with the setting `runner`.

    `files` are the URIs of each shard's texts and of its vectors.
    """
    return [
        TEXTS,
        *(uri for pair in files for uri in pair),
        f"--model={model.source}",
        *([f"--revision={model.revision}"] if model.revision else []),
        f"--dtype={model.dtype}",
        f"{BATCH_SIZE}{model.batch_size}",
        *_device(),
    ]


def _device() -> list[str]:
    """The option of a pod without a GPU; else the device is as the image says."""
    settings = load_settings()
    return ["--device=cpu"] if settings.runner == "kubernetes" and not settings.pod_gpus else []


def what_of(arguments: Sequence[str]) -> list[str]:
    """The command with its inputs and outputs: the arguments without the options."""
    return [given for given in arguments if not given.startswith("--")]


def batch_size_of(arguments: Sequence[str]) -> int:
    """The batch size of `embed`, `caption-shards` and `embed-texts`; 1 for commands whose result depends on it."""
    if arguments[0] not in HALVED:
        return 1
    return next((int(given.removeprefix(BATCH_SIZE)) for given in arguments if given.startswith(BATCH_SIZE)), 1)


def with_batch_size(arguments: Sequence[str], size: int) -> list[str]:
    """The same arguments with another batch size; commands whose result depends on it keep theirs."""
    if arguments[0] not in HALVED:
        return list(arguments)
    return [f"{BATCH_SIZE}{size}" if given.startswith(BATCH_SIZE) else given for given in arguments]
