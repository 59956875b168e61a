"""Stochastic depth (Huang et al. 2016): in training, a block is left out for some of the pictures."""

from typing import Any

import torch
from torch import nn

from image_retrieval.training.ranks import rand


def attention_blocks(model: nn.Module) -> list[nn.Module]:
    """The blocks of a transformer, in order; none for other networks."""
    return [part for part in model.modules() if isinstance(getattr(part, "attention", None), nn.Module)]


def add_drop_path(model: nn.Module, rate: float) -> None:
    """Leave each block out more often the deeper it lies: the first never, the last at this rate.

    Replaces what the model may do so by itself, at a rate of its own.
    """
    for part in model.modules():
        if isinstance(getattr(part, "drop_prob", None), float):
            part.drop_prob = 0.0  # type: ignore[assignment]
    blocks = attention_blocks(model)
    for at, block in enumerate(blocks):
        share = rate * at / max(1, len(blocks) - 1)
        if share > 0:
            block.register_forward_hook(_dropping(share))


def _dropping(share: float) -> Any:
    def hook(block: nn.Module, given: tuple[Any, ...], found: Any) -> Any:
        if not block.training:
            return None
        before, after = given[0], found[0] if isinstance(found, tuple) else found
        kept = dropped(before, after, share)
        return (kept, *found[1:]) if isinstance(found, tuple) else kept

    return hook


def dropped(before: torch.Tensor, after: torch.Tensor, share: float) -> torch.Tensor:
    """Before a block for this share of the rows; for others its change is larger, so that the mean is the same."""
    kept = (rand(len(before), rng=torch.default_generator) >= share).to(before.device, before.dtype)
    return before + (after - before) * (kept / (1 - share)).view(-1, *[1] * (before.dim() - 1))
