"""The optimizer of a training, and its learning rate: in proportion to the batch, rising, then along a cosine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

BATCH = 256  # for which rates are stated
LEAST = 0.001  # of the rate, at the end


@dataclass(frozen=True, slots=True)
class Recipe:
    """A method's rate for batches of 256, its decay of weights, and the share of the steps in which the rate rises."""

    rate: float
    decay: float
    warm_up: float


def optimizer_of(module: nn.Module, decay: float) -> torch.optim.AdamW:
    """AdamW of all weights that are free; matrices decay, vectors do not."""
    free = [weight for weight in module.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in free if weight.dim() > 1], "weight_decay": decay},
        {"params": [weight for weight in free if weight.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=0.0)


def rate_at(step: int, steps: int, recipe: Recipe, batch: int) -> float:
    """The learning rate of a step, counted from 0."""
    warm = max(1, round(recipe.warm_up * steps))
    if step < warm:
        share = (step + 1) / warm
    else:
        share = LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    return recipe.rate * batch / BATCH * share


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next step have this rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def weights_of(optimizer: torch.optim.Optimizer) -> Iterable[nn.Parameter]:
    """The weights that an optimizer changes."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]
