"""What a model's own files say of it, read without torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from image_retrieval.errors import UserError

Channels = tuple[float, ...]
Family = Literal["vision_transformer", "dual_encoder"]

# means and standard deviations of the channels that each family was trained with, as in transformers' image_utils
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

FAMILIES: dict[str, tuple[Family, Channels, Channels]] = {
    "vit": ("vision_transformer", HALF, HALF),
    "dinov2": ("vision_transformer", IMAGENET_MEAN, IMAGENET_STD),
    "dinov2_with_registers": ("vision_transformer", IMAGENET_MEAN, IMAGENET_STD),
    "clip": ("dual_encoder", CLIP_MEAN, CLIP_STD),
    "chinese_clip": ("dual_encoder", CLIP_MEAN, CLIP_STD),
}


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Family, length of the vectors, and the mean and standard deviation of each channel in 0..1."""

    family: Family
    model_type: str
    dimensions: int
    mean: Channels
    std: Channels


def describe(folder: Path) -> ModelDescription:
    """Read config.json and preprocessor_config.json. Raises UserError where the family is not known."""
    config = _read(folder / "config.json")
    model_type = str(config.get("model_type"))
    if model_type not in FAMILIES:
        raise UserError(f"model {folder} is of type {model_type!r}: supported are {', '.join(FAMILIES)}")
    family, mean, std = FAMILIES[model_type]
    preprocessor = _read(folder / "preprocessor_config.json", missing={})
    dimensions = config.get("projection_dim", 512) if family == "dual_encoder" else config.get("hidden_size")
    if not isinstance(dimensions, int):
        raise UserError(f"{folder / 'config.json'} does not tell the length of the model's vectors")
    return ModelDescription(
        family=family,
        model_type=model_type,
        dimensions=dimensions,
        mean=tuple(preprocessor.get("image_mean", mean)),
        std=tuple(preprocessor.get("image_std", std)),
    )


def _read(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.is_file():
        return missing
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(loaded, dict):
        raise UserError(f"{path} holds no mapping")
    return loaded
