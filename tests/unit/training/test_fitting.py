"""What must hold before a training begins."""

import pytest
import torch
from transformers import ViTConfig, ViTModel

from image_retrieval.errors import UserError
from image_retrieval.models.vision_transformer import ImageFeatures
from image_retrieval.training.fitting import require_batches, require_crops
from image_retrieval.training.objectives.base import Sizes
from image_retrieval.training.objectives.swav import SwAV
from image_retrieval.training.options import TrainingOptions


@pytest.mark.parametrize("side", [16, 32, 64])
def test_views_smaller_than_a_patch_are_refused(side):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    vit = ViTModel(ViTConfig(**sizes, image_size=side, patch_size=16), add_pooling_layer=False)
    objective = SwAV(ImageFeatures(vit, use_cls_token=True), Sizes(8, side, 200, 16, 200), 2, steps=24)
    small = min(view.side for view in objective.views)
    if small >= 16:
        require_crops(objective, torch.device("cpu"))
        return
    with pytest.raises(UserError, match=rf"does not take views of {small} × {small} pixels .*: raise --crop") as told:
        require_crops(objective, torch.device("cpu"))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("batch", "accumulate", "images", "told"),
    [
        (64, 1, 64, None),
        (64, 32, 64, None),
        (64, 1, 63, "has 63 pictures to learn from: --batch-size 64 is more"),
        (64, 64, 64, "does not divide into 64 parts of at least 2 pictures"),
        (64, 3, 64, r"does not divide into 3 parts of at least 2 pictures \(1 processes, --accumulate 3\)"),
    ],
)
def test_batches_must_divide(batch, accumulate, images, told):
    options = TrainingOptions("pack/", "moco", "random", batch_size=batch, accumulate=accumulate)
    if told is None:
        require_batches(options, images)
        return
    with pytest.raises(UserError, match=told):
        require_batches(options, images)
