"""Going on from a good checkpoint: each picture, in whatever view, shall be told from all others.

DIET (Balestriero 2023, arXiv 2302.10260) classifies a picture's own number; DIET-CP (arXiv 2509.06990) goes on so from
a checkpoint, of which it needs the backbone alone. Here pictures that look alike (a cluster of the pack) are one class.
Classes begin as the checkpoint's own vectors, and are compared by the cosine, as in instance discrimination (Wu et al.
2018, arXiv 1805.01978): from random weights, the head takes long to tell anything apart.
As in ExPLoRA (arXiv 2406.10973), a vision transformer's last blocks are free to change, and the attention of the others
by matrices of low rank. A convolutional network changes as a whole, but for its statistics of batch normalisation.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from image_retrieval.training.batched_augmentations import View
from image_retrieval.training.drop_path import attention_blocks
from image_retrieval.training.low_rank import add_low_rank
from image_retrieval.training.objectives.base import Objective, Sizes

SMOOTHING, TEMPERATURE = 0.3, 0.1
RANK = 8
DEEP = 12  # blocks from which on two are unfrozen, not one
MOST_CLASSES = 500_000  # whose head, with the optimizer's state, takes 3 GB at 384 dimensions


def index_loss(logits: torch.Tensor, classes: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Cross-entropy of logits (n, classes) against the own class, of whose probability a share is given to all."""
    return cross_entropy(logits, classes, label_smoothing=smoothing)


class Diet(Objective):
    """DIET on an encoder of which a part is free to change."""

    begins_with_features = True

    def __init__(self, encoder: nn.Module, sizes: Sizes) -> None:
        super().__init__(encoder)
        self.views = (View(sizes.side, (0.2, 1.0)),)
        unfreeze(encoder)
        self.head = nn.Linear(sizes.width, sizes.classes, bias=False)

    @torch.no_grad()
    def begin(self, sums: torch.Tensor) -> None:
        """Let each class begin as the mean of its pictures' vectors."""
        self.head.weight.copy_(normalize(sums, dim=1))

    def train(self, mode: bool = True) -> "Diet":
        """As of any module, but that statistics of batch normalisation stay those of the checkpoint."""
        super().train(mode)
        for part in self.encoder.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.eval()
        return self

    def forward(self, views: Sequence[torch.Tensor], classes: torch.Tensor, share: float) -> torch.Tensor:  # noqa: ARG002
        vectors = normalize(self.encoder(views[0]).float(), dim=1)
        cosines = vectors @ normalize(self.head.weight.float(), dim=1).T
        return index_loss(cosines / TEMPERATURE, classes, SMOOTHING)


def unfreeze(encoder: nn.Module) -> None:
    """Leave free what going on from a checkpoint changes: see above. A network without attention is free as it is."""
    blocks = attention_blocks(encoder)
    if not blocks:
        return
    encoder.requires_grad_(False)
    free = 2 if len(blocks) >= DEEP else 1
    for block in blocks[:-free]:
        add_low_rank(block.get_submodule("attention"), RANK)
    for block in blocks[-free:]:
        block.requires_grad_(True)
    for name, weight in encoder.named_parameters():
        if name.split(".")[:-1][-1:] in (["layernorm"], ["norm"]) and "embeddings" not in name:
            weight.requires_grad_(True)
