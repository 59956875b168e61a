"""The eight ways to turn and mirror a square picture, and what becomes of left and above."""

from dataclasses import replace

import torch

from image_retrieval.imaging.scenes.layout import OPPOSITE, Layout

TRANSPOSED = {"left": "above", "right": "below", "above": "left", "below": "right"}
WAYS = 8  # bits: mirrored left to right, top to bottom, transposed


def turn(pixels: torch.Tensor, way: int) -> torch.Tensor:
    """A picture (…, height, width) of equal sides, mirrored and transposed."""
    axes = [-1] * (way & 1) + [-2] * (way >> 1 & 1)
    turned = pixels.flip(axes) if axes else pixels
    return turned.transpose(-1, -2) if way & 4 else turned


def turn_layout(layout: Layout, way: int) -> Layout:
    """What a caption says of the turned picture; the things' own places are left as they were."""
    relation = layout.relation
    if relation is None:
        return layout
    if (way & 1 and relation in ("left", "right")) or (way & 2 and relation in ("above", "below")):
        relation = OPPOSITE[relation]
    return replace(layout, relation=TRANSPOSED[relation] if way & 4 else relation)
