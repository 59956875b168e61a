"""What a model's own files say of it, read without torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from image_retrieval.errors import UserError

# ImageNet's channel means and standard deviations, the default of every family here
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Family = Literal["vision_transformer", "dual_encoder"]
FAMILIES: dict[str, Family] = {
    "vit": "vision_transformer",
    "dinov2": "vision_transformer",
    "dinov2_with_registers": "vision_transformer",
    "clip": "dual_encoder",
    "chinese_clip": "dual_encoder",
}


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Family, length of the vectors, and the mean and standard deviation of each channel in 0..1."""

    family: Family
    model_type: str
    dimensions: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def describe(folder: Path) -> ModelDescription:
    """Read config.json and preprocessor_config.json. Raises UserError where the family is not known."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    model_type = str(config.get("model_type"))
    if model_type not in FAMILIES:
        raise UserError(f"model {folder} is of type {model_type!r}: supported are {', '.join(FAMILIES)}")
    family = FAMILIES[model_type]
    preprocessor = _optional(folder / "preprocessor_config.json")
    return ModelDescription(
        family=family,
        model_type=model_type,
        dimensions=int(config.get("projection_dim", 512) if family == "dual_encoder" else config["hidden_size"]),
        mean=tuple(preprocessor.get("image_mean", IMAGENET_MEAN)),
        std=tuple(preprocessor.get("image_std", IMAGENET_STD)),
    )


def _optional(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return loaded
