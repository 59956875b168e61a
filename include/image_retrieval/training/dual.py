"""Trains the bilingual dual encoder that ships: `python -m image_retrieval.training.dual FOLDER [--seed 0]`.

The symmetric contrastive loss trains the image tower and the text tower on drawn scenes and their captions in English
and Chinese. Auxiliary heads that predict what is in a scene help the image tower, and are discarded.
"""

import random
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize
from transformers import BertTokenizer, ChineseCLIPModel

from image_retrieval.scenes.captions import describe
from image_retrieval.scenes.layout import Layout
from image_retrieval.training.auxiliary_heads import Hints, patch_facts
from image_retrieval.training.command import read_command
from image_retrieval.training.dual_model import (
    LONGEST,
    PATCH,
    WIDTH,
    make_dual_encoder,
    make_tokenizer,
    save_preparation,
)
from image_retrieval.training.facts import Facts, facts_claimed, facts_of, held
from image_retrieval.training.losses import pairs_loss
from image_retrieval.training.mirroring import mirror
from image_retrieval.training.optimizer import Descent
from image_retrieval.training.samples import SIDE, Samples, draw_samples
from image_retrieval.training.saving import save_half

SCENES = 20_000
STEPS = 3_600
BATCH = 96
STRANGE = 16  # captions a batch that name what no scene holds
LENGTHS = ("short", "middling", "full", "full")
KINDS = 8  # hues and shapes in a batch of the second half: pictures that are hard to tell apart
RATE = 1.5e-3


def train(folder: Path, samples: Samples, steps: int, seed: int) -> list[float]:
    """Train on these scenes, save the model into a folder that exists; returns the losses."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_tokenizer(folder)
    model = make_dual_encoder(len(tokenizer))
    hints = Hints(WIDTH)
    descent = Descent((model, hints), steps, RATE)
    places = torch.from_numpy(np.stack([patch_facts(layout, SIDE // PATCH) for layout in samples.layouts]))
    kinds = np.array([facts_of(layout)[:2] for layout in samples.layouts])
    losses: list[float] = []
    began = time.monotonic()
    model.train()
    for step in range(steps):
        chosen = _choose(kinds, rng, alike=step >= steps // 2)
        layouts = [samples.layouts[at] for at in chosen]
        pixels, grids = torch.from_numpy(samples.pixels[chosen]).permute(0, 3, 1, 2), places[chosen]
        if rng.random() < 0.5:
            layouts, pixels, grids = [mirror(layout) for layout in layouts], pixels.flip(-1), grids.flip(-1)
        losses.append(descent.step(_loss(model, hints, tokenizer, layouts, pixels, grids, rng)))
        with torch.no_grad():
            model.logit_scale.clamp_(max=np.log(100))
        if step % 50 == 49:
            print(f"{step + 1}/{steps} loss {np.mean(losses[-50:]):.3f}, {time.monotonic() - began:.0f} s", flush=True)
    save_half(model, folder)
    save_preparation(tokenizer, folder)
    return losses


def _choose(kinds: Facts, rng: random.Random, *, alike: bool) -> list[int]:
    if not alike:
        return rng.sample(range(len(kinds)), min(BATCH, len(kinds)))
    shape, hue = kinds.max(axis=0) + 1
    wanted = rng.sample(range(shape * hue), KINDS)
    among = np.flatnonzero(np.isin(kinds[:, 0] * hue + kinds[:, 1], wanted))
    return rng.sample(among.tolist(), min(BATCH, len(among)))


def _loss(
    model: ChineseCLIPModel, hints: Hints, tokenizer: BertTokenizer, layouts: list[Layout], pixels: torch.Tensor,
    grids: torch.Tensor, rng: random.Random,
) -> torch.Tensor:  # fmt: skip
    described = [describe(layout, rng.choice(LENGTHS), rng) for layout in layouts]
    texts = [caption.english if rng.random() < 0.5 else caption.chinese for caption in described]
    strange = [_strange(rng.choice(texts), rng) for _ in range(STRANGE)]
    facts = np.array([facts_of(layout) for layout in layouts])
    true = held(np.array([facts_claimed(caption.claim) for caption in described]), facts)
    also_true = torch.from_numpy(np.concatenate([true, np.zeros((STRANGE, len(layouts)), bool)]))

    seen = model.vision_model(pixel_values=_normalised(pixels))
    images = normalize(model.visual_projection(seen.pooler_output), dim=-1)
    tokens = tokenizer(texts + strange, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    read = model.text_model(**tokens).last_hidden_state[:, 0]
    logits = model.logit_scale.exp() * normalize(model.text_projection(read), dim=-1) @ images.T
    hinted = hints(seen.pooler_output, seen.last_hidden_state[:, 1:], torch.from_numpy(facts), grids.flatten(2))
    loss: torch.Tensor = pairs_loss(logits, also_true) + hinted
    return loss


def _normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Pixels of -1 to 1, each picture a little lighter or darker, and of another tint."""
    gains = 1 + 0.08 * (2 * torch.rand(len(pixels), 3, 1, 1) - 1)
    return ((pixels.float() * gains).clamp(0, 255) / 127.5) - 1 + 0.02 * torch.randn(pixels.shape)


def _strange(text: str, rng: random.Random) -> str:
    """A caption with words that are in no vocabulary, so that it names what no scene holds."""
    parts = text.split() if " " in text or text.isascii() else list(text)
    for at in range(len(parts)):
        if rng.random() < 0.5:
            parts[at] = "[UNK]"
    parts[rng.randrange(len(parts))] = "[UNK]"
    return " ".join(parts)


def main() -> None:
    """Train from the seed, save, and say how long it took."""
    folder, seed = read_command(__doc__)
    began = time.monotonic()
    samples = draw_samples(SCENES, seed)
    print(f"drew {SCENES} scenes in {time.monotonic() - began:.0f} s", flush=True)
    train(folder, samples, STEPS, seed)
    print(f"trained in {time.monotonic() - began:.0f} s: {folder}")


if __name__ == "__main__":
    main()
