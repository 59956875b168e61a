"""Which pictures a step takes, and which text of each."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.reading import order

Numbers = NDArray[np.int64]


def drawn(
    texts: TextSet, learnt: Numbers, batch: int, seed: int, epoch: int, near: Sequence[Numbers] | None = None
) -> Iterator[tuple[Numbers, Numbers]]:
    """The pictures of each step of an epoch, and for each picture one of its texts, each language as often.

    `near`: for each picture, those of which one comes next to it.
    """
    rng = np.random.default_rng([seed, epoch, 1])
    languages = np.unique(texts.languages, return_inverse=True)[1]
    taken = learnt[order(len(learnt), seed, epoch)]
    if near is not None:
        taken = beside(taken, near, np.random.default_rng([seed, epoch, 2]))
    for first in range(0, len(taken) - batch + 1, batch):
        pictures = taken[first : first + batch]
        yield pictures, np.array([_one(texts.of_pictures[at], languages, rng) for at in pictures], np.int64)


def beside(taken: Numbers, near: Sequence[Numbers], rng: np.random.Generator) -> Numbers:
    """The same pictures in another order: after each comes one of those near it, as long as one is left."""
    left, found = dict.fromkeys(taken.tolist()), []
    while left:
        picture = next(iter(left))
        del left[picture]
        found.append(picture)
        if others := [other for other in near[picture].tolist() if other in left]:
            other = int(rng.choice(others))
            del left[other]
            found.append(other)
    return np.array(found, np.int64)


def _one(own: Numbers, languages: Numbers, rng: np.random.Generator) -> int:
    language = rng.choice(np.unique(languages[own]))
    return int(rng.choice(own[languages[own] == language]))
