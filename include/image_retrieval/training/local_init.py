"""Initialises a vision transformer like a convolution: at first, each head attends to one neighbour of each patch.

So it can learn shapes from only thousands of pictures (Cordonnier et al. 2020, d'Ascoli et al. 2021). This is only the
initial state: every weight is free to change.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

WAVES = (3.2, 5.0, 9.0, 20.0)  # lengths in patches: together they tell every place of a small grid apart
PLACES = 4 * len(WAVES)  # of a vector's numbers, the first so many tell its place
SHARPNESS = 2.2  # of queries and keys: how little a head sees beside its neighbour
SPREAD = 0.08  # of weights: about 1 / sqrt(width), at which a layer's output is as large as its input
BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))
ACROSS = ((-1, -1), (1, -1), (-1, 1), (1, 1))


@torch.no_grad()
def begin_local(positions: torch.Tensor, patches: nn.Conv2d, attentions: Iterable[Any]) -> None:
    """Set a model's first weights, in place.

    positions (1 + patches, width) of a square grid, the class token's first; each layer's attention (q_proj, k_proj,
    v_proj) has four heads of at least PLACES numbers.
    """
    across = math.isqrt(len(positions) - 1)
    rows, columns = torch.meshgrid(torch.arange(across), torch.arange(across), indexing="ij")
    angles = torch.stack([turn * at.flatten() for turn in _turns() for at in (columns, rows)], dim=1)
    positions.zero_()
    positions[1:, 0:PLACES:2], positions[1:, 1:PLACES:2] = angles.cos(), angles.sin()
    patches.weight.normal_(0, SPREAD)[:PLACES] = 0
    for layer, attention in enumerate(attentions):
        attention.v_proj.weight.normal_(0, SPREAD)
        queries, keys = attention.q_proj.weight, attention.k_proj.weight
        for weight in (queries, keys):
            weight.normal_(0, 0.02)
        for head, (right, down) in enumerate(ACROSS if layer % 2 else BESIDE):
            first = head * len(queries) // 4
            for weight, way in ((queries, (right, down)), (keys, (0, 0))):
                weight[first : first + PLACES, :PLACES] = SHARPNESS * _moved(*way)


def _turns() -> list[float]:
    return [2 * math.pi / length for length in WAVES]


def _moved(right: int, down: int) -> torch.Tensor:
    """The matrix (PLACES, PLACES) that makes a place's numbers those of the place so far from it."""
    moved = torch.zeros(PLACES, PLACES)
    for at, angle in enumerate(turn * way for turn in _turns() for way in (right, down)):
        cosine, sine = math.cos(angle), math.sin(angle)
        moved[2 * at : 2 * at + 2, 2 * at : 2 * at + 2] = torch.tensor([[cosine, -sine], [sine, cosine]])
    return moved
