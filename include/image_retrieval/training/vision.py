"""Trains the vision transformer that ships: `python -m image_retrieval.training.vision FOLDER [--seed 0]`.

Self-supervised, after SimCLR (Chen et al. 2020), without names of shapes or hues. One half of the vector is trained to
be alike for two drawings of the same things in other places, numbers and patterns, on another ground, and so are the
patches that show them (after Hénaff et al. 2021). The other half is trained to be alike only for two views of one
picture. Photo-like pictures are used for the second half.
"""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy, normalize
from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

from image_retrieval.training.augmentations import lit, view
from image_retrieval.training.auxiliary_heads import main_patches
from image_retrieval.training.command import read_command
from image_retrieval.training.local_init import begin_local
from image_retrieval.training.losses import patches_loss, views_loss
from image_retrieval.training.optimizer import Descent
from image_retrieval.training.photolike import draw_clouds, draw_leaves
from image_retrieval.training.samples import SIDE, Samples, draw_samples
from image_retrieval.training.saving import save_half

PATCH, WIDTH = 14, 128
THINGS, DRAWINGS, CLOUDS, LEAVES = 5_000, 4, 2_500, 5_000
OF_SCENES = 8  # drawings of a batch that are seen twice
TEMPERATURE, OF_PATCHES = 0.1, 0.07
OF_KINDS = 0.4  # by which the first half is weighed down, so that copies of photographs still find them
LEAST = 0.6  # of a picture's area, in a view


class Cycle(NamedTuple):
    """In each the rate falls (warm restarts: Loshchilov and Hutter 2017). A batch has pairs of drawings of the same
    things, and photo-like pictures, which are seen twice.
    """

    steps: int
    rate: float
    things: int
    photolike: int
    leaves: bool = False  # of the photo-like pictures, those that have edges


CYCLES = (Cycle(3_000, 2e-3, 44, 8), Cycle(2_300, 2e-3, 44, 8), Cycle(2_000, 1e-3, 32, 24, leaves=True))


def train(
    folder: Path,
    drawings: list[Samples],
    clouds: NDArray[np.uint8],
    leaves: NDArray[np.uint8],
    cycles: tuple[Cycle, ...],
    seed: int,
) -> list[float]:
    """Train, save the model into a folder that exists; returns the losses. Same place of a drawing: same things."""
    torch.manual_seed(seed)
    model = _model()
    losses: list[float] = []
    for number, cycle in enumerate(cycles):
        losses += descend(model, drawings, leaves if cycle.leaves else clouds, cycle, seed + number)
        model.half().float()  # as it is saved
    with torch.no_grad():
        for last in (model.layernorm.weight, model.layernorm.bias):
            last[: WIDTH // 2] *= OF_KINDS
    save_half(model, folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return losses


def descend(
    model: ViTModel, drawings: list[Samples], photolike: NDArray[np.uint8], cycle: Cycle, seed: int
) -> list[float]:
    """Train for one cycle; returns the losses."""
    rng = torch.Generator().manual_seed(seed)
    patch_head = nn.Linear(WIDTH, WIDTH // 2)
    descent = Descent((model, patch_head), cycle.steps, cycle.rate)
    across = SIDE // PATCH
    mains = [torch.from_numpy(np.stack([main_patches(of, across) for of in drawn.layouts])) for drawn in drawings]
    losses: list[float] = []
    began = time.monotonic()
    model.train()
    for step in range(cycle.steps):
        which = torch.randperm(len(drawings), generator=rng)[:2].tolist()
        things = torch.randperm(len(drawings[0].layouts), generator=rng)[: cycle.things]
        one, other = (_pictures(drawings[of].pixels, things) for of in which)
        main, other_main = (mains[of][things] for of in which)
        if torch.rand(1, generator=rng) < 0.5:
            one, main = one.flip(-1), main.flip(-1)
        photos = _pictures(photolike, torch.randperm(len(photolike), generator=rng)[: cycle.photolike])
        again = torch.cat([one[:OF_SCENES], photos])
        pixels = [lit(one, rng), lit(other, rng), view(again, LEAST, rng), view(photos, LEAST, rng)]
        seen = model(pixel_values=torch.cat(pixels)).last_hidden_state
        patches, shown = patch_head(seen[: 2 * len(things), 1:]), torch.cat([main, other_main]).flatten(1)
        loss = _alike(seen[:, 0], len(things), len(photos)) + 2 * patches_loss(patches, shown, OF_PATCHES)
        losses.append(descent.step(loss))
        if step % 50 == 49:
            mean, seconds = np.mean(losses[-50:]), time.monotonic() - began
            print(f"{step + 1}/{cycle.steps} loss {mean:.3f}, {seconds:.0f} s", flush=True)
    return losses


def _alike(vectors: torch.Tensor, things: int, photolike: int) -> torch.Tensor:
    """The losses of both halves of vectors: of drawings, of their others, of what is seen again, and of the photos."""
    kinds, pictures = (normalize(half, dim=-1) for half in vectors.chunk(2, dim=-1))
    one, other, again, photos = torch.split(pictures, [things, things, OF_SCENES + photolike, photolike])
    first = torch.cat([one, photos, other])
    own = torch.cat([torch.arange(OF_SCENES), things + torch.arange(photolike)])
    of_pictures = cross_entropy(again @ first.T / TEMPERATURE, own)
    return views_loss(kinds[:things], kinds[things : 2 * things], TEMPERATURE) + of_pictures


def _model() -> ViTModel:
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.08,
    )
    model = ViTModel(config, add_pooling_layer=False)
    seen = model.embeddings
    attentions = [layer.attention for layer in model.layers]
    begin_local(seen.position_embeddings[0], seen.patch_embeddings.projection, attentions)
    return model


def _pictures(pixels: NDArray[np.uint8], chosen: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(pixels[chosen.numpy()]).permute(0, 3, 1, 2) / 255


def main() -> None:
    """Train from the seed, save, and say how long it took."""
    folder, seed = read_command(__doc__)
    began = time.monotonic()
    drawings = [draw_samples(THINGS, seed + again) for again in range(DRAWINGS)]
    clouds, leaves = draw_clouds(CLOUDS, seed), draw_leaves(LEAVES, seed)
    print(f"drew {THINGS * DRAWINGS} scenes, {CLOUDS + LEAVES} others in {time.monotonic() - began:.0f} s", flush=True)
    train(folder, drawings, clouds, leaves, CYCLES, seed)
    print(f"trained in {time.monotonic() - began:.0f} s: {folder}")


if __name__ == "__main__":
    main()
