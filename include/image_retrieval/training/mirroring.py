"""Mirrors scenes, and exchanges left and right in their captions."""

from dataclasses import replace

from image_retrieval.scenes.layout import OPPOSITE, Layout


def mirror(layout: Layout) -> Layout:
    """What a caption says of the picture mirrored left to right; the things' own places are left as they were."""
    if layout.relation not in ("left", "right"):
        return layout
    return replace(layout, relation=OPPOSITE[layout.relation])
