import numpy as np
import torch

from image_retrieval.scenes.layout import HUES, lay_out
from image_retrieval.training.auxiliary_heads import patch_facts
from image_retrieval.training.mirroring import mirror

ACROSS = 56
ACCOMPANIED = [layout for layout in (lay_out(number, 4) for number in range(40)) if layout.companion]


def middle(places: torch.Tensor, hue: int) -> np.ndarray:
    """Mean row and column of what has a hue."""
    return torch.nonzero(places[1] == hue).float().mean(dim=0).numpy()


def test_the_relation_is_mirrored_with_the_picture():
    for layout in ACCOMPANIED:
        places = torch.from_numpy(patch_facts(layout, ACROSS)).flip(-1)
        main, companion = (middle(places, 1 + HUES.index(group.hue)) for group in (layout.main, layout.companion))
        down, across = main - companion
        assert {"left": -across, "right": across, "above": -down, "below": down}[mirror(layout).relation] > 0
