"""What a person decides about learning from pairs. Needs no torch."""

from dataclasses import dataclass

BATCH_SIZE = 256
LEAST_TEXTS = 500  # distinct ones, for both sides of a dual encoder


@dataclass(frozen=True, slots=True)
class PairOptions:
    """Of one training on pairs. `pack` is a folder that ends in `/`, `general` another one that is kept apart.

    `batch_size`: pictures a step. `epochs`, `rate`: None are the method's own. `negatives`: a collection that tells
    which pictures look alike and are not.
    """

    pack: str
    start: str
    revision: str | None = None
    general: str | None = None
    epochs: int | None = None
    batch_size: int = BATCH_SIZE
    rate: float | None = None
    seed: int = 0
    text_only: bool = False
    negatives: str | None = None
