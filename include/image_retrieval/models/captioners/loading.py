"""Loads a captioner: pixels to captions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageTextToText

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.errors import UserError
from image_retrieval.models.captioners import blip, florence2, git, qwen_vl, vision_encoder_decoder
from image_retrieval.models.captioners.base import Family, Pixels
from image_retrieval.models.captioners.description import (
    CaptionerDescription,
    captioner_folder,
    captions_digest,
    describe_captioner,
)
from image_retrieval.models.loading import DTYPES, load_model, usable_device
from image_retrieval.models.tokens import load_tokenizer
from image_retrieval.settings import Settings


@dataclass(frozen=True, slots=True)
class Said:
    """What a model says of a picture; `ended`: by itself, not by the limit of tokens; `new`: its number of tokens."""

    text: str
    ended: bool
    new: int


@dataclass(frozen=True, slots=True)
class LoadedCaptioner:
    """Pixels to captions. `size` is the width and height of the pictures. `digest` is that of `captions_digest`.

    `say` maps uint8 pixels (batch, height, width, 3) and a language to what the model says of each picture. `together`:
    it says all languages at once, as captioning/form.py reads them, and is given None.
    """

    size: tuple[int, int]
    device: torch.device
    digest: str
    say: Callable[[torch.Tensor, str | None], list[Said]]
    together: bool = False


@cache
def captioner(options: CaptionOptions, settings: Settings, device: str) -> LoadedCaptioner:
    """A collection's captioner, fetched and loaded once per process. Raises UserError if it cannot be loaded."""
    return load_captioner(captioner_folder(options, settings), options, device)


def load_captioner(folder: Path, options: CaptionOptions, device: str) -> LoadedCaptioner:
    """Load a captioner of a folder. Raises UserError if its files or the device cannot be used."""
    description = describe_captioner(folder, options)
    place = usable_device(device)
    dtype = DTYPES[options.model.dtype if options.model else "auto"]
    tokenizer = load_tokenizer(folder)
    model: Any = load_model(folder, dtype, kind=AutoModelForImageTextToText)
    pixels: Any = Pixels(description, dtype)
    model.to(place)
    pixels.to(place)
    try:
        family = _family(model, tokenizer, description, options, pixels)
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(f"model {folder} cannot write captions: its files are not as expected ({told})") from None
    if not family.ends:
        raise UserError(f"model {folder} does not state the token that ends a caption (eos_token_id)")

    def say(pictures: torch.Tensor, language: str | None) -> list[Said]:
        token = description.languages.get(language) if language else None
        with torch.inference_mode():
            ids = family.generate(pixels(pictures.to(place)), token).cpu()[:, family.hidden(token) :]
        return [_said(row, tokenizer, family) for row in ids.tolist()]

    return LoadedCaptioner(description.size, place, captions_digest(folder, options), say, family.together)


def _family(
    model: Any, tokenizer: Any, description: CaptionerDescription, options: CaptionOptions, pixels: Pixels
) -> Family:
    prompt, most = options.prompt, options.max_new_tokens
    match description.model_type:
        case "blip":
            return blip.family(model, tokenizer, prompt, most)
        case "git":
            return git.family(model, tokenizer, prompt, most)
        case "florence2":
            width, height = description.size
            grey = torch.full((1, height, width, 3), 127, dtype=torch.uint8, device=model.device)
            return florence2.family(model, tokenizer, prompt, most, pixels(grey))
        case "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl":
            return qwen_vl.family(model, tokenizer, options, description.size)
        case _:
            return vision_encoder_decoder.family(model, most)


def _said(ids: list[int], tokenizer: Any, family: Family) -> Said:
    """What a row of ids says, up to its end."""
    new = ids[family.prefix :]
    end = next((place for place, token in enumerate(new) if token in family.ends), None)
    kept = new[:end]
    text = tokenizer.decode([*ids[: family.prefix], *kept], skip_special_tokens=True) if kept else ""
    return Said(" ".join(text.split()), end is not None, len(kept))
