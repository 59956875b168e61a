"""What a person decides about learning from pairs. Needs no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

PairMethod = Literal["pairs", "text"]
PAIR_METHODS: tuple[PairMethod, ...] = get_args(PairMethod)
BATCH_SIZE = 256
PAIR_EPOCHS: dict[PairMethod, int] = {"pairs": 10, "text": 60}
PAIR_CHECKPOINTS: dict[PairMethod, int] = {"pairs": 1, "text": 10}  # epochs between two
LEAST_TEXTS = 500  # distinct ones, for both sides of a dual encoder


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Of one training on pairs. `pack` is a folder that ends in `/`, `general` another one that is kept apart.

    `method`: `pairs` changes a dual encoder, `text` gives a model of pictures a text side. `batch_size`: pictures a
    step. `epochs`, `rate`, `checkpoint_every` (epochs): None are the method's own. `negatives`: a collection that tells
    which pictures look alike and are not.
    """

    pack: str
    method: PairMethod
    start: str
    revision: str | None = None
    general: str | None = None
    epochs: int | None = None
    batch_size: int = BATCH_SIZE
    rate: float | None = None
    seed: int = 0
    text_only: bool = False
    negatives: str | None = None
    checkpoint_every: int | None = None
