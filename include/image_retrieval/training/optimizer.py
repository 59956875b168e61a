"""The optimizer of the models that ship, and its schedule."""

import math
from collections.abc import Iterable

import torch
from torch import nn

WARM_UP = 0.06  # of all steps


class Descent:
    """AdamW whose learning rate rises, then falls along a cosine; matrices decay, vectors do not."""

    def __init__(self, modules: Iterable[nn.Module], steps: int, rate: float, decay: float = 0.05) -> None:
        weights = [weight for module in modules for weight in module.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": decay},
            {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
        ]
        self._weights = weights
        self._optimizer = torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), foreach=True)
        warm = max(1, int(WARM_UP * steps))

        def share(step: int) -> float:
            return min((step + 1) / warm, 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps))) + 0.01)

        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, share)

    def step(self, loss: torch.Tensor) -> float:
        """Take one step down; returns the loss."""
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        self._schedule.step()
        return loss.item()
