"""A small DINOv2-shaped model with seeded random weights, for tests that need no model that has learnt anything.

Random patch features still tell pictures apart by colour and texture, enough to find a picture's own copies.
"""

import json
from pathlib import Path

from image_retrieval.models.description import IMAGENET_MEAN, IMAGENET_STD


def save_random_dinov2(folder: Path, seed: int = 0) -> None:
    """Write config.json, preprocessor_config.json and model.safetensors into a folder (3 MB, 192 dimensions)."""
    import torch
    from transformers import Dinov2Config, Dinov2Model
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = Dinov2Config(
        hidden_size=192,
        num_hidden_layers=2,
        num_attention_heads=3,
        mlp_ratio=2,
        image_size=224,
        patch_size=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Dinov2Model(config)
        with torch.no_grad():
            for name, weights in model.named_parameters():
                if weights.dim() > 1:
                    # the usual start (0.02) drowns the pixels in the class and position embeddings
                    spread = 0.002 if "position" in name or "token" in name else weights[0].numel() ** -0.5
                    torch.nn.init.normal_(weights, std=spread)
    model.save_pretrained(folder, safe_serialization=True)
    preprocessor = {"image_mean": IMAGENET_MEAN, "image_std": IMAGENET_STD, "size": {"height": 224, "width": 224}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
