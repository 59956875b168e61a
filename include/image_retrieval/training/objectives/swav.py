"""SwAV (Caron et al. 2020, arXiv 2006.09882): views of a picture shall be assigned to the same prototypes.

Two crops and six small ones, 3,000 prototypes, assignments by three iterations of Sinkhorn and Knopp with ε of 0.05,
temperature 0.1; a queue of 3,840 features joins from 15/200 of the training on; prototypes rest in the first epoch. In
a short training they rest to its end, since features do not follow moving ones in a few hundred steps.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import log_softmax, normalize

from image_retrieval.training.batched_augmentations import View
from image_retrieval.training.objectives.base import LONG, Objective, Queue, Sizes, queue_length
from image_retrieval.training.ranks import gathered, own_rows

PROTOTYPES, QUEUE, QUEUE_FROM = 3_000, 3_840, 15 / 200
EPSILON, ITERATIONS, TEMPERATURE, OUT = 0.05, 3, 0.1, 128
LARGE, SMALL, OF_SIDE = 2, 6, 96 / 224
A_PROTOTYPE = 10  # pictures for each, at least: of few pictures there are fewer prototypes than published
CENTRING = 0.1  # of a step's mean, as batch normalisation's own average takes it


@torch.no_grad()
def sinkhorn(scores: torch.Tensor, epsilon: float, iterations: int) -> torch.Tensor:
    """Assignments (n, prototypes) to scores: rows sum to 1, and all prototypes get about as much."""
    shares = torch.exp((scores.float() - scores.max()) / epsilon)
    shares = shares / shares.sum()
    count, prototypes = shares.shape
    for _ in range(iterations):
        shares = shares / (shares.sum(dim=0, keepdim=True).clamp(min=1e-30) * prototypes)
        shares = shares / (shares.sum(dim=1, keepdim=True).clamp(min=1e-30) * count)
    return shares * count


def swapped_loss(scores: Sequence[torch.Tensor], assigned: Sequence[torch.Tensor], temperature: float) -> torch.Tensor:
    """The mean cross-entropy of each view's scores (n, prototypes) against the assignments of each other view.

    Only the first views have assignments.
    """
    losses = []
    for at, wanted in enumerate(assigned):
        for other, found in enumerate(scores):
            if other != at:
                losses.append(-(wanted * log_softmax(found / temperature, dim=1)).sum(dim=1).mean())
    return torch.stack(losses).mean()


class SwAV(Objective):
    """`epochs` and `steps` are those of the whole training."""

    def __init__(self, encoder: nn.Module, sizes: Sizes, epochs: int, steps: int) -> None:
        super().__init__(encoder)
        large = View(sizes.side, (0.14, 1.0), (0.8, 0.8, 0.8, 0.2))
        small = large._replace(side=max(8, round(sizes.side * OF_SIDE)), area=(0.05, 0.14))
        self.views = (large,) * LARGE + (small,) * SMALL
        inner = max(sizes.width, 256)
        layers = nn.Linear(sizes.width, inner), nn.BatchNorm1d(inner), nn.ReLU(), nn.Linear(inner, OUT)
        self.projector = nn.Sequential(*layers)
        prototypes = min(PROTOTYPES, max(A_PROTOTYPE, sizes.images // A_PROTOTYPE))
        self.prototypes = nn.Linear(OUT, prototypes, bias=False)
        self.queue, self.other_queue = (Queue(queue_length(QUEUE, sizes), OUT) for _ in range(LARGE))
        self.seen, self.rest = epochs * sizes.images, 1 / epochs if steps >= LONG else 1.0
        self.last_norm = last_norm(encoder, sizes.side)
        self.shared = torch.zeros(sizes.width)  # what the last step's features have in common
        self._keep_length()

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:  # noqa: ARG002
        sides = [torch.cat(list(views[:LARGE])), torch.cat(list(views[LARGE:]))]  # a pass for each size
        found = [self.encoder(side) for side in sides]
        self.shared = gathered(found[0].detach()).float().mean(dim=0)
        features = torch.cat(found)
        vectors = normalize(self.projector(features).float(), dim=1)
        scores = self.prototypes(vectors).float().chunk(len(views))
        joins = share >= QUEUE_FROM and share * self.seen >= len(self.queue.keys)
        assigned, queues = [], (self.queue, self.other_queue)
        for queue, own, found in zip(queues, vectors.chunk(len(views)), scores, strict=False):
            assigned.append(self._assigned(queue.keys if joins else None, found))
            queue.add(own)
        return swapped_loss(scores, assigned, TEMPERATURE)

    @torch.no_grad()
    def _assigned(self, former: torch.Tensor | None, scores: torch.Tensor) -> torch.Tensor:
        everywhere = gathered(scores)
        joined = everywhere if former is None else torch.cat([self.prototypes(former).float(), everywhere])
        return own_rows(sinkhorn(joined, EPSILON, ITERATIONS)[-len(everywhere) :])

    def before_step(self, share: float) -> None:
        """Prototypes rest at first, so that features do not all go to a few of them."""
        if share < self.rest:
            self.prototypes.weight.grad = None

    def after_step(self, share: float) -> None:  # noqa: ARG002
        """Prototypes keep the length of 1, and features stay around 0."""
        self._keep_length()
        self._centre()

    @torch.no_grad()
    def _keep_length(self) -> None:
        self.prototypes.weight.copy_(normalize(self.prototypes.weight, dim=1))

    @torch.no_grad()
    def _centre(self) -> None:
        """Take what all features share out of the last bias.

        The projector's batch normalisation takes it away, so the loss cannot hold it back. In a transformer it grows
        until all cosines are nearly 1.
        """
        if self.last_norm is not None:
            self.encoder.get_parameter(f"{self.last_norm}.bias").sub_(self.shared, alpha=CENTRING)


@torch.no_grad()
def last_norm(encoder: nn.Module, side: int) -> str | None:
    """The name of the LayerNorm whose bias is added to features at the very end; None where nothing ends so."""
    names = [name for name, module in encoder.named_modules() if isinstance(module, nn.LayerNorm)]
    if not names:
        return None
    bias, training = encoder.get_parameter(f"{names[-1]}.bias"), encoder.training
    encoder.eval()
    kept, pictures = bias.clone(), torch.zeros(1, 3, side, side)
    before = encoder(pictures)
    bias.add_(1)
    moved: torch.Tensor = encoder(pictures) - before
    bias.copy_(kept)
    encoder.train(training)
    ends_so = moved.shape[1:] == kept.shape and torch.allclose(moved, torch.ones_like(moved), atol=1e-3)
    return names[-1] if ends_so else None
