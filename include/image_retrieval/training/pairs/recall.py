"""How often texts find their pictures, and pictures their texts: R@1, R@5 and R@10, and what chance would find."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_retrieval.training.pairs.texts import TextSet

AT = (1, 5, 10)
BLOCK = 256  # queries that are compared at once
Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Recall:
    """Of so many queries, which part finds something of its own among the nearest 1, 5 and 10 of `among`.

    `chance` is what an order by chance would find.
    """

    queries: int
    among: int
    found: dict[str, float]
    chance: dict[str, float]


def recall(queries: Vectors, gallery: Vectors, own: Callable[[Numbers], NDArray[np.bool_]]) -> Recall:
    """How well queries (m, d) find their own of the gallery (n, d); vectors of length 1.

    `own` tells which those are, (rows, n), for some rows of the queries. Queries without any are left out. A vector
    as near as the nearest own one counts before it.
    """
    ranks, owned = np.empty(len(queries), np.int64), np.empty(len(queries), np.int64)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        near, right = queries[part] @ gallery.T, own(np.arange(len(queries))[part])
        best = np.where(right, near, -np.inf).max(axis=1, keepdims=True)
        ranks[part] = 1 + ((near >= best) & ~right).sum(axis=1)
        owned[part] = right.sum(axis=1)
    ranks, owned, among = ranks[owned > 0], owned[owned > 0], len(gallery)
    found = {f"R@{k}": float((ranks <= k).mean()) if len(ranks) else 0.0 for k in AT}
    chance = {f"R@{k}": float(np.mean([_by_chance(int(p), among, k) for p in owned] or [0.0])) for k in AT}
    return Recall(len(ranks), among, found, chance)


def _by_chance(own: int, among: int, k: int) -> float:
    """How probable it is that k of so many, drawn without returning them, hold one of `own`."""
    return 1 - comb(among - own, k) / comb(among, k) if k < among else 1.0


def both_ways(
    texts: TextSet, of_texts: Vectors, of_pictures: Vectors, asked: Numbers, among: Numbers
) -> dict[str, dict[str, Recall]]:
    """Per language, `text_to_image` and `image_to_text`.

    Texts of the pictures `asked` search the pictures `among`; these pictures search all texts of the language that
    pictures `among` have. Both are numbers of pictures, as the rows of `of_pictures` (pictures, d); `of_texts`
    (texts, d).
    """
    languages = np.array(texts.languages)
    found = {}
    for language in sorted(set(texts.languages)):
        queries, gallery = (_texts_of(texts, languages == language, pictures) for pictures in (asked, among))
        if len(queries):
            found[language] = {
                "text_to_image": recall(
                    of_texts[queries], of_pictures[among], partial(_pictures_of, texts, queries, among)
                ),
                "image_to_text": recall(of_pictures[asked], of_texts[gallery], partial(_own, texts, gallery, asked)),
            }
    return found


def as_json(found: dict[str, dict[str, Recall]]) -> dict[str, Any]:
    """Figures per language and direction, as values of JSON."""
    return {language: {way: asdict(own) for way, own in ways.items()} for language, ways in found.items()}


def _pictures_of(texts: TextSet, queries: Numbers, among: Numbers, rows: Numbers) -> NDArray[np.bool_]:
    return texts.hold(queries[rows], among)


def _own(texts: TextSet, gallery: Numbers, asked: Numbers, rows: Numbers) -> NDArray[np.bool_]:
    return texts.hold(gallery, asked[rows]).T


def _texts_of(texts: TextSet, wanted: NDArray[np.bool_], pictures: Numbers) -> Numbers:
    held = np.unique(np.concatenate([texts.of_pictures[at] for at in pictures] or [np.empty(0, np.int64)]))
    found: Numbers = held[wanted[held]]
    return found
