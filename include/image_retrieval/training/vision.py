"""Trains the vision transformer that ships: `python -m image_retrieval.training.vision FOLDER [--seed 0]`.

Self-supervised, after SimCLR (Chen et al. 2020): two views of a picture shall have like vectors, unlike those of all
other pictures. It sees drawn scenes and photo-like noise, and no label. The loss is on the class token itself, the
vector that is searched.
"""

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize
from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

from image_retrieval.training.command import read_command
from image_retrieval.training.contrast import views_loss
from image_retrieval.training.photolike import draw_photolike
from image_retrieval.training.samples import SIDE, draw_samples
from image_retrieval.training.saving import save_half
from image_retrieval.training.steps import Descent
from image_retrieval.training.views import view

SCENES, PHOTOLIKE = 8_000, 2_500
OF_SCENES, OF_PHOTOLIKE = 56, 16  # a batch
STEPS = 1_100
RATE = 1e-3
TEMPERATURE = 0.15
LARGE, SMALL = 0.5, 0.12  # least areas of the two views: a whole, and a part that shows one thing or two


def train(folder: Path, scenes: NDArray[np.uint8], photolike: NDArray[np.uint8], steps: int, seed: int) -> list[float]:
    """Train on these pictures, save the model into a folder that exists; returns the losses."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    model = ViTModel(_config(), add_pooling_layer=False)
    descent = Descent((model,), steps, RATE)
    losses: list[float] = []
    began = time.monotonic()
    model.train()
    for step in range(steps):
        pixels = torch.cat([_some(scenes, OF_SCENES, chance), _some(photolike, OF_PHOTOLIKE, chance)])
        both = torch.cat([view(pixels, LARGE, chance), view(pixels, SMALL, chance)])
        vectors = normalize(model(pixel_values=both).last_hidden_state[:, 0], dim=-1)
        first, second = vectors.chunk(2)
        losses.append(descent.step(views_loss(first, second, TEMPERATURE)))
        if step % 50 == 49:
            print(f"{step + 1}/{steps} loss {np.mean(losses[-50:]):.3f}, {time.monotonic() - began:.0f} s", flush=True)
    save_half(model, folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return losses


def _config() -> ViTConfig:
    return ViTConfig(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
        image_size=SIDE,
        patch_size=14,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _some(pictures: NDArray[np.uint8], count: int, chance: torch.Generator) -> torch.Tensor:
    chosen = torch.randperm(len(pictures), generator=chance)[:count].numpy()
    return torch.from_numpy(pictures[chosen]).permute(0, 3, 1, 2) / 255


def main() -> None:
    """Train from the seed, save, and say how long it took."""
    folder, seed = read_command(__doc__)
    began = time.monotonic()
    scenes, photolike = draw_samples(SCENES, seed).pixels, draw_photolike(PHOTOLIKE, seed)
    print(f"drew {SCENES} scenes and {PHOTOLIKE} others in {time.monotonic() - began:.0f} s", flush=True)
    train(folder, scenes, photolike, STEPS, seed)
    print(f"trained in {time.monotonic() - began:.0f} s: {folder}")


if __name__ == "__main__":
    main()
