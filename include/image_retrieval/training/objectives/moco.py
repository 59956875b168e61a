"""MoCo: a picture's view shall find the other view, as a slowly moving target sees it, among other pictures.

Version 2 (Chen, Fan, Girshick, He 2020, arXiv 2003.04297) for networks with batch normalisation: a queue of 65,536
keys, momentum 0.999, temperature 0.2, a head of 2 layers to 128. Where its authors shuffle batches among GPUs so that
batch normalisation tells nothing, the target here normalises by its own running statistics (EMAN, arXiv 2101.08482).
Version 3 (Chen, Xie, He 2021, arXiv 2104.02057) for others: no queue, a predictor, momentum 0.99 to 1, temperature 0.2,
heads of 4,096 to 256; the embedding of patches and their positions is frozen, as it begins.
"""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from image_retrieval.training.batched_augmentations import View
from image_retrieval.training.objectives.base import (
    LONG,
    Objective,
    Queue,
    Sizes,
    follow,
    follow_buffers,
    hidden_width,
    mlp,
    queue_length,
    rising,
)
from image_retrieval.training.ranks import gathered, rank

QUEUE, MOMENTUM_2, MOMENTUM_3, TEMPERATURE = 65_536, 0.999, 0.99, 0.2
SHORT = 0.99  # momentum of version 2 where a training is too short for the published one


def queue_loss(queries: torch.Tensor, keys: torch.Tensor, queue: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE: of vectors of length 1, queries (n, d) against their keys (n, d), among a queue of others (m, d)."""
    own = (queries * keys).sum(dim=1, keepdim=True)
    logits = torch.cat([own, queries @ queue.T], dim=1) / temperature
    return cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))


def batch_loss(queries: torch.Tensor, keys: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE of version 3: 2τ times the cross-entropy of queries (n, d) among the keys of all processes (m, d).

    Vectors need not have length 1.
    """
    logits = normalize(queries, dim=1) @ gathered(normalize(keys, dim=1)).T / temperature
    own = torch.arange(len(queries), device=queries.device) + len(queries) * rank()
    return 2 * temperature * cross_entropy(logits, own)


class MoCo2(Objective):
    """Version 2. `steps`: of the whole training."""

    def __init__(self, encoder: nn.Module, sizes: Sizes, steps: int) -> None:
        super().__init__(encoder)
        self.views = (View(sizes.side, (0.2, 1.0)),) * 2
        self.head = nn.Sequential(nn.Linear(sizes.width, sizes.width), nn.ReLU(), nn.Linear(sizes.width, 128))
        self.target = deepcopy(nn.ModuleList([self.encoder, self.head])).requires_grad_(False)
        self.queue = Queue(queue_length(QUEUE, sizes), 128)
        self.momentum = MOMENTUM_2 if steps >= LONG else SHORT

    def train(self, mode: bool = True) -> "MoCo2":
        """As of any module, but that the target normalises by its own statistics."""
        super().train(mode)
        self.target.eval()
        return self

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:  # noqa: ARG002
        queries = normalize(self.head(self.encoder(views[0])).float(), dim=1)
        with torch.no_grad():
            keys = normalize(self.target[1](self.target[0](views[1])).float(), dim=1)
        loss = queue_loss(queries, keys, self.queue.keys.clone(), TEMPERATURE)
        self.queue.add(keys)
        return loss

    def after_step(self, share: float) -> None:  # noqa: ARG002
        online = nn.ModuleList([self.encoder, self.head])
        follow(self.target, online, self.momentum)
        follow_buffers(self.target, online, self.momentum)


class MoCo3(Objective):
    """Version 3."""

    def __init__(self, encoder: nn.Module, sizes: Sizes) -> None:
        super().__init__(encoder)
        colours = (0.4, 0.4, 0.2, 0.1)
        one = View(sizes.side, (0.08, 1.0), colours, blurred=1.0)
        self.views = (one, one._replace(blurred=0.1, solarized=0.2))
        for name, weight in encoder.named_parameters():
            if "patch_embeddings" in name or "position_embeddings" in name:
                weight.requires_grad_(False)
        inner = hidden_width(sizes.width)
        self.projector = mlp(sizes.width, inner, inner, 256, last_norm=True)
        self.predictor = mlp(256, inner, 256, last_norm=True)
        self.target = deepcopy(nn.ModuleList([self.encoder, self.projector])).requires_grad_(False)

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:  # noqa: ARG002
        queries = [self.predictor(self.projector(self.encoder(view))).float() for view in views]
        with torch.no_grad():
            keys = [self.target[1](self.target[0](view)).float() for view in views]
        return batch_loss(queries[0], keys[1], TEMPERATURE) + batch_loss(queries[1], keys[0], TEMPERATURE)

    def after_step(self, share: float) -> None:
        follow(self.target, nn.ModuleList([self.encoder, self.projector]), rising(MOMENTUM_3, share))
