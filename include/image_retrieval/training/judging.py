"""Embeds held-out pictures and variations of them with several models, and compares what each model finds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.batches import in_batches
from image_retrieval.models.towers import ImageTower
from image_retrieval.training.figures import Vectors, group_precision, lidar, ranks_of, spectrum
from image_retrieval.training.variations import VARIATIONS

BATCH = 32
Numbers = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Views:
    """Vectors of one model: `gallery` (n, d), and `queries` (variations, m, d) of the pictures that are asked for."""

    gallery: Vectors
    queries: Vectors


@dataclass(frozen=True, slots=True)
class Figures:
    """What a model finds: shares from 0 to 1. `groups` is None where no picture has another one of its group."""

    recall_at_1: dict[str, float]
    mean_average_precision: float
    groups: float | None
    rank_me: float
    alpha_req: float
    lidar: float


@dataclass(frozen=True, slots=True)
class Answers:
    """A model's figures, and what they are made of: `hits` and `ranks` (variations × m), `precision` (in groups)."""

    figures: Figures
    hits: Values
    ranks: Numbers
    precision: Values


def embed_views(
    towers: Mapping[str, ImageTower], pictures: Iterator[Image.Image], asked: Numbers, seed: int
) -> dict[str, Views]:
    """The vectors of pictures under each model; those at the places `asked` (m,), ascending, are varied, too.

    The same seed makes the same variations.
    """
    chosen = set(asked.tolist())
    gallery: dict[str, list[Vectors]] = {name: [] for name in towers}
    queries: dict[str, list[list[Vectors]]] = {name: [[] for _ in VARIATIONS] for name in towers}
    for batch in in_batches(enumerate(pictures), BATCH):
        varied = [vary(picture, seed, place) for place, picture in batch if place in chosen]
        for name, tower in towers.items():
            gallery[name].append(_embed(tower, [picture for _, picture in batch]))
            if varied:
                for kind, own in enumerate(zip(*varied, strict=True)):
                    queries[name][kind].append(_embed(tower, own))
    return {
        name: Views(np.concatenate(gallery[name]), np.stack([np.concatenate(kind) for kind in queries[name]]))
        for name in towers
    }


def vary(picture: Image.Image, seed: int, place: int) -> list[Image.Image]:
    """The variations of the picture at a place."""
    return [
        change(picture, np.random.default_rng([seed, place, kind])) for kind, change in enumerate(VARIATIONS.values())
    ]


def answer(views: Views, asked: Numbers, groups: Numbers | None) -> Answers:
    """What a model finds. `groups` (n,) has the number of each picture's group; of pictures without one, its own."""
    ranks = np.stack([ranks_of(own, views.gallery, asked) for own in views.queries])
    hits = (ranks == 1).astype(np.float64)
    precision = group_precision(views.gallery, groups) if groups is not None else np.empty(0)
    decay = spectrum(views.gallery)
    with_originals = np.concatenate([views.gallery[asked][None], views.queries]).transpose(1, 0, 2)
    figures = Figures(
        recall_at_1={name: float(own.mean()) for name, own in zip(VARIATIONS, hits, strict=True)},
        mean_average_precision=float((1 / ranks).mean()),  # one picture is right, so it is that of reciprocal ranks
        groups=float(precision.mean()) if len(precision) else None,
        rank_me=decay.rank_me,
        alpha_req=decay.alpha_req,
        lidar=lidar(with_originals),
    )
    return Answers(figures, hits.ravel(), ranks.ravel(), precision)


def _embed(tower: ImageTower, pictures: Sequence[Image.Image]) -> Vectors:
    resized = [np.asarray(picture.resize(tower.size, Image.Resampling.LANCZOS)) for picture in pictures]
    vectors: Vectors = tower.embed(torch.from_numpy(np.stack(resized))).numpy()
    return vectors
