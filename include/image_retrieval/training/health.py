"""Tells whether features collapse: all pictures get one vector, or vectors of a few dimensions."""

from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

LEAST_SPREAD = 0.05  # of the start's
LEAST_RANK = 0.25  # of the start's


@dataclass(frozen=True, slots=True)
class Health:
    """Of features of length 1: `spread`, the mean deviation of a dimension times √dimensions, and `rank`.

    Spread is 0 where all are alike, and 1 where they fill the sphere. `rank` is the effective one, exp(entropy) of the
    singular values (RankMe: Garrido et al. 2022, arXiv 2210.02885), of features less their mean.
    """

    spread: float
    rank: float


@torch.no_grad()
def health_of(features: torch.Tensor) -> Health:
    """The health of features (n, width) of pictures that differ."""
    values = normalize(features.double(), dim=1)
    centred = values - values.mean(dim=0)
    spread = float(centred.pow(2).mean(dim=0).sqrt().mean()) * values.shape[1] ** 0.5
    if not torch.isfinite(centred).all():
        return Health(0.0, 0.0)
    found = torch.linalg.svdvals(centred)
    shares = found / found.sum().clamp(min=1e-12)
    entropy = -(shares * shares.clamp(min=1e-12).log()).sum()
    return Health(spread, float(entropy.exp()) if spread > 1e-9 else 0.0)


def collapse(now: Health, start: Health) -> str:
    """In words, how features have collapsed since the start; empty if they have not."""
    if now.spread < LEAST_SPREAD * start.spread:
        return f"the vectors of all pictures become one (their spread fell from {start.spread:.3g} to {now.spread:.3g})"
    if now.rank < LEAST_RANK * start.rank:
        return (
            f"the vectors fall into a few dimensions (effective rank {start.rank:.1f} at the start, {now.rank:.1f} now)"
        )
    return ""
