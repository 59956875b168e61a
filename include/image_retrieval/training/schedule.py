"""The optimizer of a training, and its learning rate: in proportion to the batch, rising, then along a cosine."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

BATCH = 256  # for which rates are stated
UNDECAYED = ("position", "_token")  # in names of weights, as in DeiT, Swin and DINOv2
LEAST = 0.001  # of the rate, at the end


@dataclass(frozen=True, slots=True)
class Recipe:
    """A method's rate for batches of 256, its decay of weights, and the share of the steps in which the rate rises."""

    rate: float
    decay: float
    warm_up: float


def optimizer_of(module: nn.Module, decay: float) -> torch.optim.AdamW:
    """AdamW of all weights that are free. Matrices decay; vectors, positions and tokens do not."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, weight in module.named_parameters():
        if weight.requires_grad:
            decays = weight.dim() > 1 and not any(part in name for part in UNDECAYED)
            (decaying if decays else others).append(weight)
    groups = [{"params": decaying, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
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
