"""Auxiliary heads for training the image tower: they predict what is in a scene and where, and are discarded."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from image_retrieval.scenes.layout import HUES, SHAPES, TEXTURES, Layout, Thing
from image_retrieval.training.facts import COLUMNS

NOTHING, UNASKED = 0, -1
OF_PATCH = (1 + len(SHAPES), 1 + len(HUES), 1 + len(TEXTURES), 2)  # the last: whether a thing's centre is there


def patch_facts(layout: Layout, across: int) -> NDArray[np.int64]:
    """(4, across, across): shape, hue and texture of the thing at a patch's centre, and where centres of things are."""
    found = np.zeros((len(OF_PATCH), across, across), np.int64)
    for group in filter(None, (layout.main, layout.companion)):
        kind = (SHAPES.index(group.shape), HUES.index(group.hue), TEXTURES.index(group.texture))
        for thing in group.things:
            found[(3, *_centre(thing, layout, across))] = 1
            for plane, value in enumerate(kind):
                found[plane, _covered(thing, layout, across)] = value + 1
    return found


def main_patches(layout: Layout, across: int) -> NDArray[np.bool_]:
    """(across, across): whether one of the main things covers a patch's centre, or has its own centre there."""
    covered: NDArray[np.bool_] = np.any([_covered(thing, layout, across) for thing in layout.main.things], axis=0)
    return covered


def _covered(thing: Thing, layout: Layout, across: int) -> NDArray[np.bool_]:
    x = (np.arange(across) + 0.5) * layout.width / across
    y = (np.arange(across)[:, None] + 0.5) * layout.height / across
    covered: NDArray[np.bool_] = np.hypot(x - thing.x, y - thing.y) < thing.radius
    covered[_centre(thing, layout, across)] = True
    return covered


def _centre(thing: Thing, layout: Layout, across: int) -> tuple[int, int]:
    return int(thing.y / layout.height * across), int(thing.x / layout.width * across)


class Hints(nn.Module):
    """Linear heads on the picture's vector and on its patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scene = nn.ModuleList(nn.Linear(width, 1 + len(names)) for names in COLUMNS)
        self.patch = nn.ModuleList(nn.Linear(width, classes) for classes in OF_PATCH)

    def forward(
        self, pooled: torch.Tensor, patches: torch.Tensor, facts: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """Twice the mean cross-entropy of a scene's facts, and the sum of those of its patches'.

        Pooled (n, width), patches (n, patches, width), facts (n, 12), places (n, 4, patches). The kind of a thing
        counts only where there is one.
        """
        of_scene = [cross_entropy(head(pooled), facts[:, at] + 1) for at, head in enumerate(self.scene)]
        of_things = places[:, :3].masked_fill(places[:, :3] == NOTHING, UNASKED)
        asked = torch.cat([of_things, places[:, 3:]], dim=1)
        of_patch = [
            cross_entropy(head(patches).flatten(0, 1), asked[:, at].flatten(), ignore_index=UNASKED)
            for at, head in enumerate(self.patch)
        ]
        return 2 * torch.stack(of_scene).mean() + torch.stack(of_patch).sum()
