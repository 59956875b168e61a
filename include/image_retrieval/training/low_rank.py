"""LoRA (Hu et al. 2021, arXiv 2106.09685): a frozen layer, to which the product of two small matrices is added."""

import math

import torch
from torch import nn


class LowRank(nn.Module):
    """y = W x + b + (alpha / rank) · B A x, of which A (rank, in) and B (out, rank) learn; B begins as 0."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer, self.scale = layer.requires_grad_(False), alpha / rank
        self.down = nn.Linear(layer.in_features, rank, bias=False)
        self.up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x) + self.scale * self.up(self.down(x))
        return found

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The one layer that computes the same; this one is used up."""
        self.layer.weight += self.scale * (self.up.weight @ self.down.weight)
        return self.layer


def add_low_rank(module: nn.Module, rank: int, alpha: float | None = None) -> int:
    """Replace each linear layer of a module; `alpha` is twice the rank if left out. Returns how many there are."""
    found = 0
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if type(child) is nn.Linear and not isinstance(part, LowRank):
                setattr(part, name, LowRank(child, rank, 2 * rank if alpha is None else alpha))
                found += 1
    return found


def merge_low_rank(module: nn.Module) -> None:
    """Make each such layer of a module an ordinary one again, with what it has learnt."""
    for part in list(module.modules()):
        for name, child in list(part.named_children()):
            if isinstance(child, LowRank):
                setattr(part, name, child.merged())
