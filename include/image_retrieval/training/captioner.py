"""Trains the captioner that ships: `python -m image_retrieval.training.captioner FOLDER [--seed 0]`.

The picture tower is that of the shipped dual encoder, as it is: it knows the scenes. A decoder learns to say what the
tower sees, in English and Chinese, each word after those before it.
"""

import random
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

from image_retrieval.training.augmentations import lit
from image_retrieval.training.captioner_model import make_captioner, make_tokenizer, of_language, save_preparation
from image_retrieval.training.captioner_texts import LANGUAGES, tell
from image_retrieval.training.command import read_command
from image_retrieval.training.optimizer import Descent
from image_retrieval.training.samples import Samples, draw_samples
from image_retrieval.training.saving import save_half

SCENES = 8_000
STEPS = 700
BATCH = 32
RATE = 2e-3
AT_ONCE = 100  # scenes that the tower sees
UNASKED = -100
PREFIX = 2  # tokens of a caption that are given: the start's and the language's


def train(folder: Path, samples: Samples, steps: int, seed: int) -> list[float]:
    """Train on these scenes, save the model into a folder that exists; returns the losses."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_tokenizer()
    model = make_captioner(tokenizer)
    began = time.monotonic()
    seen = _seen(model, samples, torch.Generator().manual_seed(seed))
    told = [tell(layout) for layout in samples.layouts]
    descent = Descent((model.decoder,), steps, RATE)
    losses: list[float] = []
    model.train()
    for step in range(steps):
        chosen = rng.sample(range(len(told)), min(BATCH, len(told)))
        losses.append(descent.step(_loss(model, tokenizer, seen[chosen].float(), [told[at] for at in chosen])))
        if step % 50 == 49:
            print(f"{step + 1}/{steps} loss {np.mean(losses[-50:]):.3f}, {time.monotonic() - began:.0f} s", flush=True)
    save_half(model, folder)
    save_preparation(tokenizer, folder)
    return losses


@torch.no_grad()
def _seen(model: VisionEncoderDecoderModel, samples: Samples, rng: torch.Generator) -> torch.Tensor:
    """What the tower makes of each scene, in slightly different light: float16 (scenes, tokens, width)."""
    parts = []
    for pixels in torch.split(torch.from_numpy(samples.pixels), AT_ONCE):
        lighter = lit(pixels.permute(0, 3, 1, 2) / 255, rng)
        parts.append(model.encoder(pixel_values=lighter).last_hidden_state.half())
    return torch.cat(parts)


def _loss(
    model: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerFast, seen: torch.Tensor, told: list[dict[str, str]]
) -> torch.Tensor:
    """The cross-entropy of the captions' tokens, a mean over both languages; seen (n, tokens, width)."""
    losses = []
    for language in LANGUAGES:
        begin, end = tokenizer.bos_token + of_language(language), tokenizer.eos_token
        texts = [begin + caption[language] + end for caption in told]
        tokens = tokenizer(texts, padding=True, return_tensors="pt")["input_ids"]
        there = (tokens != tokenizer.pad_token_id).long()[:, :-1]
        logits = model.decoder(
            input_ids=tokens[:, :-1], attention_mask=there, encoder_hidden_states=seen, use_cache=False
        ).logits
        wanted = tokens.masked_fill(tokens == tokenizer.pad_token_id, UNASKED)[:, PREFIX:]
        losses.append(cross_entropy(logits[:, PREFIX - 1 :].transpose(1, 2), wanted, ignore_index=UNASKED))
    return torch.stack(losses).mean()


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
