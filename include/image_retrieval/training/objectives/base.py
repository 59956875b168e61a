"""What all objectives have: views to make, a loss, and what happens around a step."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize

from image_retrieval.training.batched_augmentations import View
from image_retrieval.training.ranks import gathered

LONG = 10_000  # steps from which on a training has time for the published momentum, rate and prototypes


class Sizes(NamedTuple):
    """What an objective is made for: length of features, side of crops, pictures, pictures a step, their clusters."""

    width: int
    side: int
    images: int
    batch: int
    classes: int


class Objective(nn.Module):
    """Computes a loss from views. `encoder` maps normalised pixels to features: it is what is saved at the end.

    All that a training must not lose is in the state_dict: weights, target, queue.
    """

    views: tuple[View, ...]
    begins_with_features = False  # whether `begin` is to be called

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def begin(self, sums: torch.Tensor) -> None:
        """Called before the first step with the sum of each class's features of length 1, (classes, width)."""

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:
        """The loss of normalised views, one tensor each, of pictures of these classes.

        `share` of the whole training, 0 to 1, is done; so it is below.
        """
        raise NotImplementedError

    def before_step(self, share: float) -> None:
        """Called between the gradients and the step."""

    def after_step(self, share: float) -> None:
        """Called after the weights have changed."""


def mlp(*widths: int, last_norm: bool = False) -> nn.Sequential:
    """Linear layers with batch normalisation and ReLU between; `last_norm`: normalised at the end, without weights."""
    layers: list[nn.Module] = []
    for at, (before, after) in enumerate(pairwise(widths)):
        last = at == len(widths) - 2
        layers.append(nn.Linear(before, after, bias=last and not last_norm))
        if not last:
            layers += [nn.BatchNorm1d(after), nn.ReLU()]
        elif last_norm:
            layers.append(nn.BatchNorm1d(after, affine=False))
    return nn.Sequential(*layers)


def hidden_width(width: int) -> int:
    """Of heads: the papers' 4,096 for features of at least 384, and less for smaller ones."""
    return 4096 if width >= 384 else 1024 if width >= 128 else 256


def rising(start: float, share: float) -> float:
    """A momentum that rises along a cosine from its start to 1."""
    return 1 - (1 - start) * (math.cos(math.pi * share) + 1) / 2


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move a target's weights towards the online ones: m · target + (1 - m) · online."""
    for mine, theirs in zip(target.parameters(), online.parameters(), strict=True):
        mine.lerp_(theirs, 1 - momentum)


@torch.no_grad()
def follow_buffers(target: nn.Module, online: nn.Module, momentum: float) -> None:
    """Move a target's running statistics as its weights (EMAN: Cai et al. 2021, arXiv 2101.08482)."""
    for mine, theirs in zip(target.buffers(), online.buffers(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - momentum)
        else:
            mine.copy_(theirs)


class Queue(nn.Module):
    """The latest keys of length 1, (size, width): the newest replace the oldest."""

    keys: torch.Tensor
    place: torch.Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("keys", normalize(torch.randn(size, width), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def add(self, keys: torch.Tensor) -> None:
        """Add the keys of all processes."""
        new = gathered(keys.float())
        at = (self.place + torch.arange(len(new), device=new.device)) % len(self.keys)
        self.keys[at] = new
        self.place.add_(len(new)).remainder_(len(self.keys))


def queue_length(published: int, sizes: Sizes) -> int:
    """The published length, but at most half of the pictures: else a picture's former keys count against it."""
    return max(sizes.batch, min(published, sizes.images // 2) // sizes.batch * sizes.batch)
