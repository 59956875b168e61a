"""The mean of weights before and after fine-tuning: WiSE-FT (Wortsman et al. 2021, arXiv 2109.01903).

(1 − α) · before + α · after keeps what the model knew; α is chosen by what held-out pairs and a general set lose and
gain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

ALPHAS = (0.25, 0.5, 0.75, 1.0)
MOST_LOST = 0.01  # of the mean R@1 on the general set
Weights = Mapping[str, nn.Parameter]


@dataclass(frozen=True, slots=True)
class Judged:
    """Mean R@1 over languages and directions, of held-out pairs and of the general set, and all figures of both."""

    held_out: float
    general: float | None
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The α that is kept, or None, and why, in one line."""

    alpha: float | None
    reason: str


def sweep(weights: Weights, before: Mapping[str, torch.Tensor], judge: Callable[[], Judged]) -> dict[float, Judged]:
    """What each α is worth, 0 included; the weights are afterwards those of the last one, as they came."""
    after = {name: weight.detach().clone() for name, weight in weights.items()}
    found = {}
    for alpha in (0.0, *ALPHAS):
        mix(weights, before, after, alpha)
        found[alpha] = judge()
    return found


@torch.no_grad()
def mix(weights: Weights, before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], alpha: float) -> None:
    """Set weights to (1 − α) · before + α · after."""
    for name, weight in weights.items():
        weight.copy_(torch.lerp(before[name], after[name], alpha))


def choose(found: Mapping[float, Judged]) -> Chosen:
    """The α that finds most of the held-out pairs among those that lose at most a point of the general set."""
    start = found[0.0]
    allowed = {
        alpha: one
        for alpha, one in found.items()
        if alpha and (one.general is None or start.general is None or one.general >= start.general - MOST_LOST - 1e-9)
    }
    if not allowed:
        worst = min(found[alpha].general or 0.0 for alpha in found if alpha)
        return Chosen(
            None, f"every mean loses more than a point on the general set ({start.general:.1%} → {worst:.1%})"
        )
    best = max(allowed, key=lambda alpha: (allowed[alpha].held_out, -alpha))
    told = f"R@1 of held-out pairs {start.held_out:.1%} → {allowed[best].held_out:.1%}"
    if start.general is not None:
        told += f", of the general set {start.general:.1%} → {allowed[best].general:.1%}"
    if allowed[best].held_out <= start.held_out:
        return Chosen(None, f"nothing is better than before: {told}")
    return Chosen(best, told)
