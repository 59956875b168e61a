"""MoBY (Xie et al. 2021, arXiv 2105.04553): MoCo's queue and BYOL's predictor, for DeiT and Swin.

A queue of 4,096 keys for each of both views, momentum 0.99 to 1, temperature 0.2, heads of two layers, 4,096 to 256;
drop path of 0.2 on the online side alone.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import normalize

from image_retrieval.training.batched_augmentations import View
from image_retrieval.training.drop_path import add_drop_path
from image_retrieval.training.objectives.base import (
    Objective,
    Queue,
    Sizes,
    follow,
    hidden_width,
    mlp,
    queue_length,
    rising,
)
from image_retrieval.training.objectives.moco import queue_loss

QUEUE, MOMENTUM, TEMPERATURE, DROP_PATH = 4_096, 0.99, 0.2, 0.2


class MoBY(Objective):
    """Each view's query shall find the other view's key among the latest keys of that view."""

    def __init__(self, encoder: nn.Module, sizes: Sizes) -> None:
        super().__init__(encoder)
        one = View(sizes.side, (0.08, 1.0), (0.4, 0.4, 0.2, 0.1), blurred=1.0)
        self.views = (one, one._replace(blurred=0.1, solarized=0.2))
        inner = hidden_width(sizes.width)
        self.projector, self.predictor = mlp(sizes.width, inner, 256), mlp(256, inner, 256)
        self.target = deepcopy(nn.ModuleList([self.encoder, self.projector])).requires_grad_(False)
        add_drop_path(self.encoder, DROP_PATH)
        length = queue_length(QUEUE, sizes)
        self.queue, self.other_queue = Queue(length, 256), Queue(length, 256)

    def train(self, mode: bool = True) -> "MoBY":
        """As of any module, but that nothing drops out of the target."""
        super().train(mode)
        self.target[0].eval()
        return self

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:  # noqa: ARG002
        queries = [normalize(self.predictor(self.projector(self.encoder(view))).float(), dim=1) for view in views]
        with torch.no_grad():
            keys = [normalize(self.target[1](self.target[0](view)).float(), dim=1) for view in views]
        loss = queue_loss(queries[0], keys[1], self.other_queue.keys.clone(), TEMPERATURE)
        loss = loss + queue_loss(queries[1], keys[0], self.queue.keys.clone(), TEMPERATURE)
        self.queue.add(keys[0])
        self.other_queue.add(keys[1])
        return loss

    def after_step(self, share: float) -> None:
        follow(self.target, nn.ModuleList([self.encoder, self.projector]), rising(MOMENTUM, share))
