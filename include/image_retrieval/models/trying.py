"""Tries a folder's model: what it can do, and how fast."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from image_retrieval.errors import UserError
from image_retrieval.models.description import describe, read_config
from image_retrieval.models.text_encoder import describe_text_encoder
from image_retrieval.models.towers import ImageTower, load_image_tower, load_text_tower

TEXTS = ("two red circles", "两个红色的圆")
SECONDS = 2.0
MOST_PIXELS = 2**21  # that are embedded at once
MOST_PATCHES = 2**14  # of a picture: attention takes the square of that


@dataclass(frozen=True, slots=True)
class Tried:
    """What a model can do; `size` and `images_per_second` are None where it reads texts only."""

    model_type: str
    dimensions: int
    texts: bool
    size: tuple[int, int] | None = None
    images_per_second: float | None = None


def try_out(folder: Path) -> Tried:
    """Embed a picture twice, and texts where the model reads them; count the pictures that it embeds in a second.

    Raises UserError where the model does not load or run, or where its vectors are not the same both times.
    """
    if words := describe_text_encoder(folder):
        reader = load_text_tower(folder, dtype="float32", device="cpu")
        _require_same(words.dimensions, lambda: reader.embed(TEXTS))
        return Tried(words.model_type, words.dimensions, texts=True)
    model = describe(folder)
    _require_patches(folder, model.size)
    tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    pictures = _pictures(tower)
    _require_same(model.dimensions, lambda: tower.embed(pictures[:1]))
    if texts := model.family == "dual_encoder":
        reader = load_text_tower(folder, dtype="float32", device="cpu")
        _require_same(model.dimensions, lambda: reader.embed(TEXTS))
    return Tried(model.model_type, model.dimensions, texts, model.size, round(_speed(tower, pictures), 1))


def _require_same(dimensions: int, embed: Callable[[], torch.Tensor]) -> None:
    """Raise UserError unless two calls give the same usable vectors."""
    try:
        first, second = embed(), embed()
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, MemoryError) as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"the model loads, but does not run ({told[:200]})") from None
    if first.shape[1:] != (dimensions,) or not bool(torch.isfinite(torch.cat([first, second])).all()):
        raise UserError("the model makes no usable vector of a test picture or text: its weights may be broken")
    if float((first * second).sum(dim=1).min()) < 0.9999:
        raise UserError("the model makes another vector of the same input each time, or none: it cannot be used")


def _require_patches(folder: Path, size: tuple[int, int]) -> None:
    """Raise UserError if a picture has so many patches that one would take hours."""
    config = read_config(folder)
    vision = config.get("vision_config")
    side = (vision if isinstance(vision, dict) else config).get("patch_size")
    if isinstance(side, int) and side > 0 and (patches := (size[0] // side) * (size[1] // side)) > MOST_PATCHES:
        raise UserError(
            f"pictures of {size[0]} × {size[1]} are {patches:,} patches of {side}: at most {MOST_PATCHES:,} are tried"
        )


def _pictures(tower: ImageTower) -> torch.Tensor:
    width, height = tower.size
    count = min(8, max(1, MOST_PIXELS // (width * height)))
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=rng)


def _speed(tower: ImageTower, pictures: torch.Tensor) -> float:
    began, done = time.perf_counter(), 0
    while done == 0 or time.perf_counter() - began < SECONDS:
        tower.embed(pictures)
        done += len(pictures)
    return done / (time.perf_counter() - began)
