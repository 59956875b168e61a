"""What the image tower is also asked while it learns, by heads that are thrown away: what is there, and where."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from image_retrieval.imaging.scenes.layout import HUES, SHAPES, TEXTURES, Layout
from image_retrieval.training.facts import COLUMNS

NOTHING = 0
OF_PATCH = (1 + len(SHAPES), 1 + len(HUES), 1 + len(TEXTURES), 2)  # the last: whether a thing's centre is there


def patch_facts(layout: Layout, across: int) -> NDArray[np.int64]:
    """(4, across, across): shape, hue and texture of what covers a patch's centre, and where centres of things are."""
    found = np.zeros((len(OF_PATCH), across, across), np.int64)
    x = (np.arange(across) + 0.5) * layout.width / across
    y = (np.arange(across)[:, None] + 0.5) * layout.height / across
    for group in filter(None, (layout.main, layout.companion)):
        kind = (SHAPES.index(group.shape), HUES.index(group.hue), TEXTURES.index(group.texture))
        for thing in group.things:
            covered = np.hypot(x - thing.x, y - thing.y) < thing.radius
            column, row = int(thing.x / layout.width * across), int(thing.y / layout.height * across)
            covered[row, column] = True
            found[3, row, column] = 1
            for plane, value in enumerate(kind):
                found[plane, covered] = value + 1
    return found


class Hints(nn.Module):
    """Linear heads on the picture's vector and on its patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scene = nn.ModuleList(nn.Linear(width, 1 + len(names)) for names in COLUMNS)
        self.patch = nn.ModuleList(nn.Linear(width, classes) for classes in OF_PATCH)

    def forward(
        self, pooled: torch.Tensor, patches: torch.Tensor, facts: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """Twice the mean cross-entropies.

        Pooled (n, width), patches (n, patches, width), facts (n, 12), places (n, 4, patches).
        """
        of_scene = [cross_entropy(head(pooled), facts[:, at] + 1) for at, head in enumerate(self.scene)]
        of_patch = [
            cross_entropy(head(patches).flatten(0, 1), places[:, at].flatten()) for at, head in enumerate(self.patch)
        ]
        return 2 * (torch.stack(of_scene).mean() + torch.stack(of_patch).mean())
