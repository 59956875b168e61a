"""ViT, DINOv2: one vector from the class token, or from the mean of the patch tokens."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel


def image_features(model: PreTrainedModel, *, use_cls_token: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from normalised pixels (batch, 3, height, width) to features (batch, hidden_size)."""
    before_patches = 1 + int(getattr(model.config, "num_register_tokens", 0) or 0)

    def features(pixels: torch.Tensor) -> torch.Tensor:
        # other resolutions than the trained one: position embeddings are interpolated (DINOv2 does so by itself)
        options = {"interpolate_pos_encoding": True} if model.config.model_type == "vit" else {}
        tokens: torch.Tensor = model(pixel_values=pixels, **options).last_hidden_state
        return tokens[:, 0] if use_cls_token else tokens[:, before_patches:].mean(dim=1)

    return features
