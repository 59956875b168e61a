"""CLIP and Chinese-CLIP: the image tower's projection into the space that it shares with text."""

from collections.abc import Callable
from typing import Any, cast

import torch
from transformers import PreTrainedModel


def image_features(model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from normalised pixels (batch, 3, height, width) to features (batch, projection_dim)."""

    tower = cast(Callable[..., Any], model.get_image_features)

    # other resolutions than the trained one: position embeddings are interpolated
    def features(pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = tower(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output
        return vectors

    return features
