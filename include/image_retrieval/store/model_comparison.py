"""Compares two models of one collection by the neighbours that they find."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from pgvector import HalfVector

from image_retrieval.collection import Collection
from image_retrieval.store.connection import Connection
from image_retrieval.store.rows import fetch_all
from image_retrieval.store.search import search
from image_retrieval.store.sql import statement

K = 10
IMAGES = 100


class Comparison(TypedDict, total=False):
    """What two models find, as `compare_models` describes it; an earlier version may have kept less."""

    sampled: int
    overlap_at_10: float | None
    same_group_at_10: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class _Sampled:
    """An image with its vectors under both models."""

    image_id: str
    before: HalfVector
    after: HalfVector
    group_id: str | None


def compare_models(connection: Connection, before: Collection, after: Collection) -> Comparison:
    """The shares of an image's 10 nearest that both models find, and that are of its own group under each model.

    `sampled` images are searched for. `overlap_at_10` is the mean over them; `same_group_at_10`, by model, the mean
    over those that have a group. A mean over nothing is None.
    """
    query = statement("switches", "sample_both", view=before.face, target=after.face)
    overlaps: list[float] = []
    grouped: dict[str, list[float]] = {before.model.name: [], after.model.name: []}
    for image in fetch_all(connection, _Sampled, query, {"images": IMAGES}):
        former = _nearest(connection, before, image.image_id, image.before)
        latter = _nearest(connection, after, image.image_id, image.after)
        if not former or not latter:
            continue
        overlaps.append(len(former.keys() & latter.keys()) / max(len(former), len(latter)))
        if image.group_id is not None:
            for entry, found in ((before, former), (after, latter)):
                same = sum(group == image.group_id for group in found.values())
                grouped[entry.model.name].append(same / len(found))
    return {
        "sampled": len(overlaps),
        "overlap_at_10": _mean(overlaps),
        "same_group_at_10": {name: _mean(shares) for name, shares in grouped.items()},
    }


def _nearest(connection: Connection, entry: Collection, image_id: str, vector: HalfVector) -> dict[str, str | None]:
    """The nearest other images under one model, with their groups."""
    found = search(connection, entry.name, vector.to_list(), K + 1, model=entry.model.name)
    others = [image for image in found if image["image_id"] != image_id][:K]
    return {image["image_id"]: image["group_id"] for image in others}


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
