"""CLIP, Chinese-CLIP, SigLIP: an image and a text side that project into one space."""

from collections.abc import Callable
from typing import Any, cast

import torch
from transformers import PreTrainedModel

# the parts of a model that each side does not need
IMAGES = ("vision_model", "visual_projection")
TEXT = ("text_model", "text_projection")


class ImageFeatures(torch.nn.Module):
    """Normalised pixels (batch, 3, height, width) to features (batch, projection_dim)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        call = cast(Callable[..., Any], self.model.get_image_features)
        # for resolutions other than the trained one, position embeddings are interpolated
        vectors: torch.Tensor = call(pixel_values=pixels, interpolate_pos_encoding=True).pooler_output
        return vectors


class TextFeatures(torch.nn.Module):
    """Tokenised texts (batch, tokens) to features (batch, projection_dim)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = cast(Callable[..., Any], self.model.get_text_features)(**tokens).pooler_output
        return vectors
