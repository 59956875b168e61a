"""CLIP and Chinese-CLIP: the image tower's projection into the space that it shares with text."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel


def image_features(model: PreTrainedModel) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from normalised pixels (batch, 3, height, width) to features (batch, projection_dim)."""

    def features(pixels: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = model.get_image_features(pixel_values=pixels).pooler_output
        return vectors

    return features
