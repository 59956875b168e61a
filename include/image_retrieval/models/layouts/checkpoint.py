"""What a layout reads and what it makes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from image_retrieval.models.preprocessing import Channels

Weights = Mapping[str, torch.Tensor]
Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights by their names, and what JSON files beside them say: `config.json` of timm, `open_clip_config.json`."""

    weights: Weights
    beside: Mapping[str, Config] = field(default_factory=dict)

    @property
    def timm(self) -> Config:
        """timm's config.json; empty where there is none."""
        found = self.beside.get("config.json") or {}
        return found if "architecture" in found else {}


@dataclass(frozen=True, slots=True)
class Converted:
    """A model as transformers' folders have it. `assumed` names what no file states, in a user's words."""

    layout: str
    config: Config
    preprocessor: Config
    weights: Weights
    assumed: tuple[str, ...] = ()


def preprocessor(side: int, normalised: tuple[Channels, Channels], *, crop: bool = True) -> Config:
    """A preprocessor file: values of 0 to 1 normalised by mean and deviation, pictures of a square `side`."""
    mean, std = normalised
    size = {"height": side, "width": side}
    found: Config = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    found |= {"image_mean": list(mean), "image_std": list(std), "size": size, "do_center_crop": crop}
    return found | ({"crop_size": size} if crop else {})


def by_timm(checkpoint: Checkpoint, side: int, otherwise: tuple[Channels, Channels]) -> tuple[Config, tuple[str, ...]]:
    """The preprocessor that timm's config.json states, else that of the layout, and what was assumed."""
    stated = checkpoint.timm.get("pretrained_cfg") or {}
    if not (stated.get("mean") and stated.get("std")):
        mean, std = (", ".join(f"{value:g}" for value in values) for values in otherwise)
        return preprocessor(side, otherwise), (f"normalised with means {mean} and deviations {std}",)
    normalised = tuple(map(float, stated["mean"])), tuple(map(float, stated["std"]))
    return preprocessor(int((stated.get("input_size") or [3, side])[-1]), normalised), ()
