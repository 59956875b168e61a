"""What a person decides about a training. Needs no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

Method = Literal["continue", "moco", "moby", "swav"]
Precision = Literal["float32", "bfloat16", "float16"]
METHODS: tuple[Method, ...] = get_args(Method)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
RANDOM = "random"
BACKBONES = ("vit_mini", "vit_tiny", "vit_small", "vit_base", "resnet18", "resnet50", "swin_tiny")
# of hosted platforms' forms
EPOCHS, BATCH_SIZE, CHECKPOINT_EVERY, READERS = 80, 64, 10, 4


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Of one training. `start` is a model's source or RANDOM, `backbone` goes with the latter.

    `batch_size`: pictures a step, of all processes together; they go through the network in `accumulate` parts. `rate`
    is for batches of 256, `crop` the side of views; where they are None, they are the method's and the start's own.
    """

    pack: str
    method: Method
    start: str
    revision: str | None = None
    backbone: str | None = None
    epochs: int = EPOCHS
    batch_size: int = BATCH_SIZE
    rate: float | None = None
    crop: int | None = None
    checkpoint_every: int = CHECKPOINT_EVERY
    precision: Precision = "float32"
    seed: int = 0
    readers: int = READERS
    accumulate: int = 1
    gradient_checkpointing: bool = False
    half: bool = False
