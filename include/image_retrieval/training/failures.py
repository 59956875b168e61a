"""Tells in words what ended a training: memory that does not suffice, or another process that ended."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from image_retrieval.errors import Unavailable, UserError
from image_retrieval.training import ranks
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.records import Options

# of torch's messages: its allocator for CPUs has no error of its own, and gloo has none either
NO_MEMORY = "can't allocate memory"
LOST = ("connection closed by peer", "connection reset by peer", "connection was likely closed", "timed out waiting",
        "gloo")  # fmt: skip


@contextmanager
def told_in_words(options: Options) -> Iterator[None]:
    """Raise an error of the block as a UserError, if it can be told in words."""
    try:
        yield
    except Exception as error:
        told = in_words(error, options)
        if told is None or told is error:
            raise
        raise told from None


def in_words(error: Exception, options: Options) -> UserError | None:
    """The error as a UserError, or None if it is a fault of the program's own."""
    if isinstance(error, UserError):
        return error
    words = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or NO_MEMORY in words:
        return UserError(f"the memory does not suffice for --batch-size {options.batch_size}: {_advice(options)}")
    lost = isinstance(error, distributed.DistError) or any(part in words for part in LOST)
    if ranks.world() > 1 and isinstance(error, RuntimeError) and lost:
        return Unavailable("another process of the training has ended: `training resume` goes on from the checkpoint")
    return None


def _advice(options: Options) -> str:
    if not isinstance(options, TrainingOptions):
        return "use a smaller --batch-size"
    ways = [f"use --accumulate {2 * options.accumulate}", "a smaller --batch-size"]
    if not options.gradient_checkpointing:
        ways.insert(1, "--gradient-checkpointing")
    return ", ".join(ways[:-1]) + f", or {ways[-1]}"
