"""ViT, DINOv2, DINOv3: one vector from the class token, or from the mean of the patch tokens."""

import torch
from transformers import PreTrainedModel


class ImageFeatures(torch.nn.Module):
    """Normalised pixels (batch, 3, height, width) to features (batch, hidden_size)."""

    def __init__(self, model: PreTrainedModel, *, use_cls_token: bool) -> None:
        super().__init__()
        self.model, self.use_cls_token = model, use_cls_token
        self.before_patches = 1 + int(getattr(model.config, "num_register_tokens", 0) or 0)
        # for resolutions other than the trained one, position embeddings are interpolated (DINO does so by itself)
        self.options = {"interpolate_pos_encoding": True} if model.config.model_type == "vit" else {}

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.model(pixel_values=pixels, **self.options).last_hidden_state
        return tokens[:, 0] if self.use_cls_token else tokens[:, self.before_patches :].mean(dim=1)
