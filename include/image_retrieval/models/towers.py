"""Loading a model's image tower: a function from 8-bit pixels to vectors of length 1."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models import dual_encoder, vision_transformer
from image_retrieval.models.description import ModelDescription, describe
from image_retrieval.models.source import model_folder
from image_retrieval.settings import Settings

NOT_READ = ("pooler.", "embeddings.mask_token")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class ImageTower:
    """`embed` maps uint8 (batch, height, width, 3) to float32 (batch, dimensions), each row of length 1."""

    dimensions: int
    embed: Callable[[torch.Tensor], torch.Tensor]


@cache
def image_tower(model: ModelOptions, settings: Settings, device: str) -> ImageTower:
    """The image tower of a collection's model, fetched and loaded once a process."""
    folder = model_folder(model.source, model.revision, settings)
    return load_image_tower(folder, dtype=model.dtype, device=device, use_cls_token=model.use_cls_token)


def load_image_tower(folder: Path, *, dtype: str, device: str, use_cls_token: bool) -> ImageTower:
    """Load a model's image tower; pixels are scaled and normalised on the device.

    Raises UserError where device or weights are not usable.
    """
    description = describe(folder)
    place = _device(device)
    model = _load(folder, DTYPES[dtype], place)
    if description.family == "dual_encoder":
        pooled = dual_encoder.image_features(model)
    else:
        pooled = vision_transformer.image_features(model, use_cls_token=use_cls_token)
    normalise = _normalisation(description, DTYPES[dtype], place)

    def embed(pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            vectors = pooled(normalise(pixels.to(place, non_blocking=True))).float()
            return torch.nn.functional.normalize(vectors, dim=-1).cpu()

    return ImageTower(description.dimensions, embed)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name if not name.isdigit() else f"cuda:{name}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r} cannot be used ({str(error).splitlines()[0]}): cpu, cuda or a rank") from None
    return device


def _load(folder: Path, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    transformers_logging.disable_progress_bar()
    try:
        loaded, report = AutoModel.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"model {folder} does not load: {str(error).strip().splitlines()[0][:300]}") from None
    # transformers fills what is missing with random numbers; pooler and mask token are not read
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith(NOT_READ)):
        raise UserError(f"model {folder} does not load: its weights lack {missing[0]} and {len(missing) - 1} others")
    model: PreTrainedModel = loaded
    model.eval()
    model.to(device)  # type: ignore[arg-type]
    return model


def _normalisation(
    description: ModelDescription, dtype: torch.dtype, device: torch.device
) -> Callable[[torch.Tensor], torch.Tensor]:
    mean = torch.tensor(description.mean, device=device).view(1, -1, 1, 1)
    std = torch.tensor(description.std, device=device).view(1, -1, 1, 1)
    scale, shift = (1 / (255 * std)), (-mean / std)

    def normalise(pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.permute(0, 3, 1, 2).float() * scale + shift).to(dtype)

    return normalise
