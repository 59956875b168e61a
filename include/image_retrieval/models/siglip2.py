"""SigLIP 2 of native resolution, whose model takes patches instead of pictures."""

from typing import Any

import torch
from transformers import PreTrainedModel


class ImageFeatures(torch.nn.Module):
    """Normalised pixels (batch, 3, height, width) to features (batch, hidden_size).

    Equals Siglip2VisionModel with unmasked patches, for pictures of one size. It uses no masks, and does not read the
    size from a tensor, so that it can be compiled. Pixels beyond whole patches are cut off.
    """

    model: Any  # torch types each part of a module as a tensor or a module

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.vision_model
        self.side = int(self.model.config.patch_size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        model, side = self.model, self.side
        batch, channels, height, width = pixels.shape
        rows, columns = height // side, width // side
        whole = pixels[..., : rows * side, : columns * side].reshape(batch, channels, rows, side, columns, side)
        # as transformers' convert_image_to_patches: each patch by rows, columns, then channels
        patches = whole.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, side * side * channels)
        embedded = model.embeddings.patch_embedding(patches) + self._positions(rows, columns)
        tokens = model.encoder(inputs_embeds=embedded, attention_mask=None).last_hidden_state
        features: torch.Tensor = model.head(model.post_layernorm(tokens))
        return features

    def _positions(self, rows: int, columns: int) -> torch.Tensor:
        """Position embeddings (rows * columns, hidden_size), as Siglip2VisionEmbeddings resizes them."""
        embeddings = self.model.embeddings
        weights: torch.Tensor = embeddings.position_embedding.weight
        side = embeddings.position_embedding_size
        resized = torch.nn.functional.interpolate(
            weights.reshape(side, side, -1).permute(2, 0, 1).unsqueeze(0).float(),
            size=(rows, columns),
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        return resized[0].flatten(1).T.to(weights.dtype)
