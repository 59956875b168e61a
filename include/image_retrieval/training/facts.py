"""Layouts and claims as numbers, so that a batch of captions can be compared with a batch of scenes at once."""

import numpy as np
from numpy.typing import NDArray

from image_retrieval.scenes.captions import Claim, Kind
from image_retrieval.scenes.layout import (
    GROUNDS,
    HUES,
    OPPOSITE,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    Group,
    Layout,
)

Facts = NDArray[np.int64]
COUNTS = (1, 2, 3, 4)
OF_KIND: tuple[tuple[object, ...], ...] = (SHAPES, HUES, TEXTURES, tuple(SIZES), COUNTS)
COLUMNS: tuple[tuple[object, ...], ...] = (*OF_KIND, *OF_KIND, RELATIONS, GROUNDS)
ABSENT = -1  # absent, or not mentioned
TURNED = np.array([RELATIONS.index(OPPOSITE[relation]) for relation in RELATIONS] + [ABSENT])


def facts_of(layout: Layout) -> list[int]:
    """One number for each of COLUMNS: what is shown."""
    return [*_of_group(layout.main), *_of_group(layout.companion), _index(RELATIONS, layout.relation),
            _index(GROUNDS, layout.ground)]  # fmt: skip


def facts_claimed(claim: Claim) -> list[int]:
    """One number for each of COLUMNS: what is said."""
    return [*_of_kind(claim.kind), *_of_kind(claim.other), _index(RELATIONS, claim.relation),
            _index(GROUNDS, claim.ground)]  # fmt: skip


def held(claims: Facts, scenes: Facts) -> NDArray[np.bool_]:
    """Which claim (row) is true of which scene (column): `Claim.holds`, for all pairs at once."""
    turned = np.concatenate([scenes[:, 5:10], scenes[:, :5], TURNED[scenes[:, 10:11]], scenes[:, 11:]], axis=1)
    first, second = _fits(claims, scenes), _fits(claims, turned)
    either: NDArray[np.bool_] = first | second
    return either


def _fits(claims: Facts, scenes: Facts) -> NDArray[np.bool_]:
    said = claims[:, None, :]
    fits: NDArray[np.bool_] = ((said == ABSENT) | (said == scenes[None])).all(axis=2)
    return fits


def _of_group(group: Group | None) -> list[int]:
    if group is None:
        return [ABSENT] * len(OF_KIND)
    found = (group.shape, group.hue, group.texture, group.size, len(group.things))
    return [_index(names, value) for names, value in zip(OF_KIND, found, strict=True)]


def _of_kind(kind: Kind | None) -> list[int]:
    if kind is None:
        return [ABSENT] * len(OF_KIND)
    said = (kind.shape, kind.hue, kind.texture, kind.size, kind.count)
    return [_index(names, value) for names, value in zip(OF_KIND, said, strict=True)]


def _index(names: tuple[object, ...], value: object) -> int:
    return ABSENT if value is None else names.index(value)
