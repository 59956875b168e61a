"""Loads a model's towers: pixels to vectors of length 1, and texts to vectors of the same space."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.models import (
    dual_encoder,
    efficientnet_lite,
    pooled_backbone,
    siglip2,
    text_encoder,
    text_side,
    vision_transformer,
)
from image_retrieval.models.description import ModelDescription, describe
from image_retrieval.models.digest import digest_of
from image_retrieval.models.loading import DTYPES, load_model, usable_device
from image_retrieval.models.source import model_folder
from image_retrieval.models.tokens import Tokens, load_tokens
from image_retrieval.settings import Settings


@dataclass(frozen=True, slots=True)
class ImageTower:
    """Pixels to vectors.

    `size` is the width and height of the model's preprocessor; other sizes work if the family supports them. `network`
    maps uint8 pixels (batch, height, width, 3) on `device` to float32 (batch, dimensions) there, each row of length 1.
    It includes scaling, normalising and the cast to the model's dtype. `digest` is that of the loaded files.
    """

    dimensions: int
    size: tuple[int, int]
    device: torch.device
    network: torch.nn.Module
    digest: str

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (batch, height, width, 3) to float32 (batch, dimensions), both on the CPU."""
        with torch.inference_mode():
            vectors: torch.Tensor = self.network(pixels.to(self.device, non_blocking=True))
            return vectors.cpu()


@dataclass(frozen=True, slots=True)
class TextTower:
    """Texts to vectors of the same space as the model's image tower, if it has one.

    `query` and `passage` are put before texts that are searched by, and before those that are searched.
    """

    dimensions: int
    device: torch.device
    tokens: Tokens
    network: torch.nn.Module
    digest: str
    query: str = ""
    passage: str = ""

    def embed(self, texts: Sequence[str]) -> torch.Tensor:
        """Any number of texts that are searched by to float32 (texts, dimensions) on the CPU, each row of length 1."""
        return self._embed([f"{self.query}{text}" for text in texts])

    def embed_passages(self, texts: Sequence[str]) -> torch.Tensor:
        """The same of texts that are searched."""
        return self._embed([f"{self.passage}{text}" for text in texts])

    def _embed(self, texts: Sequence[str]) -> torch.Tensor:
        if not texts:
            return torch.empty(0, self.dimensions)
        with torch.inference_mode():
            given = {name: values.to(self.device) for name, values in self.tokens(texts).items()}
            vectors: torch.Tensor = self.network(**given)
            return vectors.cpu()


@cache
def image_tower(model: ModelOptions, settings: Settings, device: str) -> ImageTower:
    """The image tower of a collection's model, fetched and loaded once per process."""
    folder = model_folder(model.source, model.revision, settings)
    return load_image_tower(folder, dtype=model.dtype, device=device, use_cls_token=model.use_cls_token)


@cache
def text_tower(model: ModelOptions, settings: Settings, device: str) -> TextTower:
    """The text tower of a collection's model, fetched and loaded once per process. Raises UserError if it has none."""
    folder = model_folder(model.source, model.revision, settings)
    return load_text_tower(folder, dtype=model.dtype, device=device)


def load_image_tower(folder: Path, *, dtype: str, device: str, use_cls_token: bool) -> ImageTower:
    """Load a model's image tower. Raises UserError if device or weights cannot be used."""
    description = describe(folder)
    place = usable_device(device)
    features = _image_features(folder, DTYPES[dtype], description, use_cls_token)
    network = ImageNetwork(description, DTYPES[dtype], features).to(place)
    return ImageTower(description.dimensions, description.size, place, network, digest_of(folder))


def load_text_tower(folder: Path, *, dtype: str, device: str) -> TextTower:
    """Load a model's text tower. Raises UserError if it has none, or device or weights cannot be used."""
    if words := text_encoder.describe_text_encoder(folder):
        return _text_encoder(folder, words, DTYPES[dtype], usable_device(device))
    description = describe(folder)
    if description.family != "dual_encoder":
        raise UserError(
            f"model {folder} of type {description.model_type!r} reads images only: "
            "searching by text needs a model with a text side, such as CLIP, Chinese-CLIP or SigLIP"
        )
    place = usable_device(device)
    if description.image_family != "dual_encoder":
        return _text_side(folder, description, DTYPES[dtype], place)
    tokens = load_tokens(folder, description.model_type)
    model = load_model(folder, DTYPES[dtype], without=dual_encoder.IMAGES)
    network = TextNetwork(dual_encoder.TextFeatures(model)).to(place)
    return TextTower(description.dimensions, place, tokens, network, digest_of(folder))


def _text_encoder(folder: Path, words: text_encoder.TextEncoder, dtype: torch.dtype, place: torch.device) -> TextTower:
    tokens = load_tokens(folder, words.model_type, most=words.most_tokens, lower_case=words.lower_case)
    network = TextNetwork(text_encoder.TextFeatures(load_model(folder, dtype), words.pooling)).to(place)
    return TextTower(words.dimensions, place, tokens, network, digest_of(folder), words.query, words.passage)


def _text_side(folder: Path, description: ModelDescription, dtype: torch.dtype, place: torch.device) -> TextTower:
    side = text_side.describe_text_side(folder, description.dimensions)
    tokens = load_tokens(folder, side.model_type, most=side.most_tokens, lower_case=True)
    network = TextNetwork(text_side.load_text_features(folder, side, dtype)).to(place)
    return TextTower(description.dimensions, place, tokens, network, digest_of(folder))


def _image_features(
    folder: Path, dtype: torch.dtype, description: ModelDescription, use_cls_token: bool
) -> torch.nn.Module:
    if description.image_family == "efficientnet_lite":
        return efficientnet_lite.load_image_features(folder, dtype)
    model = load_model(folder, dtype, without=dual_encoder.TEXT)
    match description.image_family:
        case "vision_transformer":
            return vision_transformer.ImageFeatures(model, use_cls_token=use_cls_token)
        case "dual_encoder":
            native = description.model_type == "siglip2"
            return siglip2.ImageFeatures(model) if native else dual_encoder.ImageFeatures(model)
        case "pooled_backbone":
            return pooled_backbone.ImageFeatures(model)


class ImageNetwork(torch.nn.Module):
    """uint8 pixels (batch, height, width, 3) to float32 vectors of length 1."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, description: ModelDescription, dtype: torch.dtype, features: torch.nn.Module) -> None:
        super().__init__()
        mean, std = torch.tensor(description.mean).view(1, -1, 1, 1), torch.tensor(description.std).view(1, -1, 1, 1)
        self.register_buffer("scale", description.scale / std)
        self.register_buffer("shift", -mean / std)
        self.dtype, self.features = dtype, features

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        normalised = pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift
        return torch.nn.functional.normalize(self.features(normalised.to(self.dtype)).float(), dim=-1)


class TextNetwork(torch.nn.Module):
    """Token ids and masks (batch, tokens) to float32 vectors of length 1."""

    def __init__(self, features: torch.nn.Module) -> None:
        super().__init__()
        self.features = features

    def forward(self, **tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(self.features(**tokens).float(), dim=-1)
