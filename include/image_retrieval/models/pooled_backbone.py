"""ResNet, ConvNeXt, Swin: the pooled output of a backbone that has no class token."""

import torch
from transformers import PreTrainedModel


class ImageFeatures(torch.nn.Module):
    """Normalised pixels (batch, 3, height, width) to features (batch, channels of the last stage)."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.model(pixel_values=pixels).pooler_output
        return pooled.flatten(1)  # ResNet leaves height and width of 1
