"""Which pictures a step takes, and which text of each."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.reading import order

Numbers = NDArray[np.int64]


def drawn(texts: TextSet, learnt: Numbers, batch: int, seed: int, epoch: int) -> Iterator[tuple[Numbers, Numbers]]:
    """The pictures of each step of an epoch, and for each picture one of its texts, each language as often."""
    rng = np.random.default_rng([seed, epoch, 1])
    languages = np.unique(texts.languages, return_inverse=True)[1]
    taken = learnt[order(len(learnt), seed, epoch)]
    for first in range(0, len(taken) - batch + 1, batch):
        pictures = taken[first : first + batch]
        yield pictures, np.array([_one(texts.of_pictures[at], languages, rng) for at in pictures], np.int64)


def _one(own: Numbers, languages: Numbers, rng: np.random.Generator) -> int:
    language = rng.choice(np.unique(languages[own]))
    return int(rng.choice(own[languages[own] == language]))
