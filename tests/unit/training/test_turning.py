import numpy as np
import pytest
import torch

from image_retrieval.imaging.scenes.layout import HUES, lay_out
from image_retrieval.training.hints import patch_facts
from image_retrieval.training.turning import WAYS, turn, turn_layout

ACROSS = 56
ACCOMPANIED = [layout for layout in (lay_out(number, 4) for number in range(40)) if layout.companion]


def middle(places: torch.Tensor, hue: int) -> np.ndarray:
    """Mean row and column of what has a hue."""
    return torch.nonzero(places[1] == hue).float().mean(dim=0).numpy()


@pytest.mark.parametrize("way", range(WAYS))
def test_the_relation_turns_with_the_picture(way):
    for layout in ACCOMPANIED:
        places = turn(torch.from_numpy(patch_facts(layout, ACROSS)), way)
        main, companion = (middle(places, 1 + HUES.index(group.hue)) for group in (layout.main, layout.companion))
        down, across = main - companion
        relation = turn_layout(layout, way).relation
        assert {"left": -across, "right": across, "above": -down, "below": down}[relation] > 0


def test_the_eight_ways_differ():
    picture = torch.arange(9).reshape(1, 3, 3)
    assert len({tuple(turn(picture, way).flatten().tolist()) for way in range(WAYS)}) == WAYS
