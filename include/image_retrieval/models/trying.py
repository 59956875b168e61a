"""Tries a folder's model: what it can do, and how fast."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import FAMILIES as CAPTIONERS
from image_retrieval.models.captioners.description import describe_captioner
from image_retrieval.models.description import describe, read_config
from image_retrieval.models.text_encoder import describe_text_encoder
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.scenes import draw_scenes

TEXTS = ("two red circles", "两个红色的圆")
SECONDS = 2.0
TOKENS = 30  # of the caption that is tried
SHOWN = 200  # letters of it
MOST_PIXELS = 2**21  # that are embedded at once
MOST_PATCHES = 2**14  # of a picture: attention takes the square of that


Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Tried:
    """What a model can do; `size` and `images_per_second` are None where it reads texts only.

    A captioner has no `dimensions`, but a `caption` of a drawn scene, and `languages` if it states them.
    """

    model_type: str
    dimensions: int | None
    texts: bool
    size: tuple[int, int] | None = None
    images_per_second: float | None = None
    caption: str | None = None
    languages: tuple[str, ...] = ()


def try_out(folder: Path) -> Tried:
    """Embed a picture twice, and texts where the model reads them; count the pictures that it embeds in a second.

    Raises UserError where the model does not load or run, or where its vectors are not the same both times. A captioner
    describes a drawn scene twice.
    """
    if str(read_config(folder).get("model_type")) in CAPTIONERS:
        return _captioned(folder)
    if words := describe_text_encoder(folder):
        reader = load_text_tower(folder, dtype="float32", device="cpu")
        _require_same(words.dimensions, lambda: reader.embed(TEXTS))
        return Tried(words.model_type, words.dimensions, texts=True)
    model = describe(folder)
    _require_patches(folder, model.size)
    tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    pictures = _pictures(tower.size)
    _require_same(model.dimensions, lambda: tower.embed(pictures[:1]))
    if texts := model.family == "dual_encoder":
        reader = load_text_tower(folder, dtype="float32", device="cpu")
        _require_same(model.dimensions, lambda: reader.embed(TEXTS))
    return Tried(model.model_type, model.dimensions, texts, model.size, round(_speed(tower.embed, pictures), 1))


def _captioned(folder: Path) -> Tried:
    """Describe a drawn scene twice, in the first language that the model states."""
    from image_retrieval.models.captioners.loading import load_captioner

    options = CaptionOptions.model_validate(
        {"model": {"name": "tried", "source": str(folder)}, "max_new_tokens": TOKENS}
    )
    model = describe_captioner(folder, options, any_language=True)
    _require_patches(folder, model.size)
    options = options.model_copy(update={"languages": tuple(model.languages)[:1] or options.languages})
    loaded = load_captioner(folder, options, "cpu")
    picture, language = _scene(model.size), None if loaded.together else options.languages[0]
    first, second = (_run(lambda: loaded.say(picture, language)) for _ in range(2))
    if first != second:
        raise UserError("the model describes the same picture in other words each time: it cannot be used")
    if not first[0].new:
        raise UserError("the model says nothing of a test picture: its weights or its tokenizer may be broken")
    speed = round(_speed(lambda batch: loaded.say(batch, language), _pictures(model.size)), 1)
    return Tried(model.model_type, None, False, model.size, speed, first[0].text[:SHOWN], tuple(model.languages))


def _require_same(dimensions: int, embed: Callable[[], torch.Tensor]) -> None:
    """Raise UserError unless two calls give the same usable vectors."""
    first, second = _run(embed), _run(embed)
    if first.shape[1:] != (dimensions,) or not bool(torch.isfinite(torch.cat([first, second])).all()):
        raise UserError("the model makes no usable vector of a test picture or text: its weights may be broken")
    if float((first * second).sum(dim=1).min()) < 0.9999:
        raise UserError("the model makes another vector of the same input each time, or none: it cannot be used")


def _run(call: Callable[[], Found]) -> Found:
    """What a call of the model returns. Raises UserError where it does not run."""
    try:
        return call()
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"the model loads, but does not run ({told[:200]})") from None


def _require_patches(folder: Path, size: tuple[int, int]) -> None:
    """Raise UserError if a picture has so many patches that one would take hours."""
    config = read_config(folder)
    vision = config.get("vision_config")
    side = (vision if isinstance(vision, dict) else config).get("patch_size")
    if isinstance(side, int) and side > 0 and (patches := (size[0] // side) * (size[1] // side)) > MOST_PATCHES:
        raise UserError(
            f"pictures of {size[0]} × {size[1]} are {patches:,} patches of {side}: at most {MOST_PATCHES:,} are tried"
        )


def _scene(size: tuple[int, int]) -> torch.Tensor:
    [scene] = draw_scenes(1)
    pixels = np.asarray(Image.open(io.BytesIO(scene.data)).convert("RGB").resize(size))
    return torch.from_numpy(pixels.copy())[None]


def _pictures(size: tuple[int, int]) -> torch.Tensor:
    width, height = size
    count = min(8, max(1, MOST_PIXELS // (width * height)))
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=rng)


def _speed(run: Callable[[torch.Tensor], object], pictures: torch.Tensor) -> float:
    began, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - began < SECONDS:
        run(pictures)
        done += len(pictures)
    return done / (time.perf_counter() - began)
