"""What is trained: a checkpoint as the house loads it, or a backbone of transformers with random weights."""

import json
import shutil
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel, ResNetConfig, ResNetModel, SwinConfig, SwinModel, ViTConfig, ViTModel

from image_retrieval.errors import UserError
from image_retrieval.models import efficientnet_lite, pooled_backbone, vision_transformer
from image_retrieval.models.description import IMAGENET, Family, describe, read_config
from image_retrieval.models.layouts.checkpoint import preprocessor
from image_retrieval.models.loading import load_model
from image_retrieval.training.low_rank import merge_low_rank
from image_retrieval.training.saving import save_model

PREPROCESSOR = "preprocessor_config.json"
# hidden size, layers and heads of a ViT, as in DeiT, but for the smallest one
VITS = {"vit_mini": (128, 4, 4), "vit_tiny": (192, 12, 3), "vit_small": (384, 12, 6), "vit_base": (768, 12, 12)}
# widths and blocks of the stages, and the kind of block
RESNETS = {
    "resnet18": ([64, 128, 256, 512], [2, 2, 2, 2], "basic"),
    "resnet50": ([256, 512, 1024, 2048], [3, 4, 6, 3], "bottleneck"),
}
SWINS = {"swin_tiny": (96, [2, 2, 6, 2], [3, 6, 12, 24])}
POSITIONS_APART = 10_000.0  # the longest wave of positions, as in MoCo v3 and the first Transformer


@dataclass(frozen=True, slots=True)
class Backbone:
    """`encoder`: normalised pixels (n, 3, side, side) to features (n, width). A value v of 0 to 1 is normalised as

    v · gain + shift, per channel. `folder`: of the checkpoint, if it began as one.
    """

    encoder: nn.Module
    family: Family
    model_type: str
    width: int
    side: int
    gain: tuple[float, ...]
    shift: tuple[float, ...]
    folder: Path | None

    def normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (n, 3, height, width) of 0 to 1 as the encoder takes them."""
        gain, shift = (
            torch.tensor(values, device=pixels.device).view(1, -1, 1, 1) for values in (self.gain, self.shift)
        )
        return pixels * gain + shift


def from_checkpoint(folder: Path, side: int | None) -> Backbone:
    """The image side of a model in a folder. Raises UserError if it is of a family that is not trained."""
    described = describe(folder)
    encoder: nn.Module
    match described.image_family:
        case "vision_transformer":
            encoder = vision_transformer.ImageFeatures(load_model(folder, torch.float32), use_cls_token=True)
        case "pooled_backbone":
            encoder = pooled_backbone.ImageFeatures(load_model(folder, torch.float32))
        case "efficientnet_lite":
            encoder = _efficientnet_lite(folder)
        case family:
            raise UserError(
                f"model {folder} is of type {described.model_type!r}, a {family.replace('_', ' ')}: training starts "
                "from a vision transformer, a ResNet, a Swin or another backbone of pictures alone"
            )
    gain = tuple(255 * described.scale / std for std in described.std)
    shift = tuple(-mean / std for mean, std in zip(described.mean, described.std, strict=True))
    own = described.size[0] if described.size[0] == described.size[1] else min(described.size)
    return Backbone(
        encoder, described.image_family, described.model_type, described.dimensions, side or own, gain, shift, folder
    )


def from_nothing(name: str, side: int) -> Backbone:
    """A backbone of options.BACKBONES for crops of this side, with random weights of torch's current seed."""
    mean, std = IMAGENET
    how = side, tuple(1 / one for one in std), tuple(-one / by for one, by in zip(mean, std, strict=True)), None
    encoder: nn.Module
    if name in VITS:
        width, layers, heads = VITS[name]
        vit = ViTModel(_vit(width, layers, heads, side), add_pooling_layer=False)
        _begin(vit)
        encoder = vision_transformer.ImageFeatures(vit, use_cls_token=True)
        return Backbone(encoder, "vision_transformer", "vit", width, *how)
    if name in RESNETS:
        widths, blocks, kind = RESNETS[name]
        config = ResNetConfig(hidden_sizes=widths, depths=blocks, layer_type=kind)
        return Backbone(
            pooled_backbone.ImageFeatures(ResNetModel(config)), "pooled_backbone", "resnet", widths[-1], *how
        )
    channels, depths, heads_of_stages = SWINS[name]
    swin = SwinConfig(embed_dim=channels, depths=depths, num_heads=heads_of_stages, image_size=side)
    encoder = pooled_backbone.ImageFeatures(SwinModel(swin))
    return Backbone(encoder, "pooled_backbone", "swin", channels * 8, *how)


@torch.no_grad()
def _begin(vit: ViTModel) -> None:
    """Let a transformer begin as in MoCo v3 (arXiv 2104.02057): Xavier's uniform weights, and positions by sines.

    A narrow one whose weights all deviate by 0.02, as transformers draws them, hardly sees its patches.
    """
    for part in vit.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            bound = (6 / (part.weight.shape[0] + part.weight[0].numel())) ** 0.5
            part.weight.uniform_(-bound, bound)
            if part.bias is not None:
                part.bias.zero_()
    places = vit.embeddings.position_embeddings
    places.copy_(positions(round((places.shape[1] - 1) ** 0.5), places.shape[2])[None])
    vit.embeddings.cls_token.normal_(std=1e-6)


def positions(across: int, width: int) -> torch.Tensor:
    """Sines and cosines of the place of each patch of a square, (1 + across², width); the class token's are 0.

    As in MoCo v3: a quarter of the numbers each for the sine and cosine of the column and of the row.
    """
    waves = POSITIONS_APART ** -(torch.arange(width // 4) / (width // 4))
    row, column = (
        place.flatten()[:, None] * waves for place in torch.meshgrid(*[torch.arange(across)] * 2, indexing="ij")
    )
    found = torch.zeros(1 + across**2, width)
    found[1:] = torch.cat([column.sin(), column.cos(), row.sin(), row.cos()], dim=1)
    return found


def _vit(width: int, layers: int, heads: int, side: int) -> ViTConfig:
    patch = min(16, 2 ** max(1, (side // 7).bit_length() - 1))  # at least 7 patches across
    return ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=side // patch * patch,
        patch_size=patch,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=1e-6,
    )


def _efficientnet_lite(folder: Path) -> nn.Module:
    """The network as it is trained: its batch normalisation is not folded into the convolutions."""
    efficientnet_lite.load_image_features(folder, torch.float32)  # raises what is wrong with it
    network = efficientnet_lite.ImageFeatures(efficientnet_lite.Shape.of(read_config(folder)))
    network.load_state_dict(load_file(folder / efficientnet_lite.WEIGHTS))
    return network.float()


def save(backbone: Backbone, encoder: nn.Module, folder: Path, *, half: bool) -> None:
    """Write a trained encoder as a model that the house loads: config.json, weights, preprocessor file."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = deepcopy(encoder).cpu().float()
    merge_low_rank(kept)
    for weight in kept.parameters():
        weight.requires_grad_(True)
    if backbone.family == "efficientnet_lite" and backbone.folder:
        weights = {name: _as_saved(value, half) for name, value in kept.state_dict().items()}
        save_file(weights, folder / efficientnet_lite.WEIGHTS)
        shutil.copyfile(backbone.folder / "config.json", folder / "config.json")
    else:
        save_model(cast(PreTrainedModel, kept.get_submodule("model")), folder, half=half)
    (folder / PREPROCESSOR).write_text(json.dumps(_preprocessor(backbone), indent=2) + "\n", encoding="utf-8")


def _as_saved(value: torch.Tensor, half: bool) -> torch.Tensor:
    return (value.half() if half and value.is_floating_point() else value).contiguous()


def _preprocessor(backbone: Backbone) -> dict[str, Any]:
    """Values of 0 to 255 times 1/255, less a mean, by a deviation: the same as the backbone's gain and shift."""
    std = tuple(1 / gain for gain in backbone.gain)
    mean = tuple(-shift / gain for shift, gain in zip(backbone.shift, backbone.gain, strict=True))
    if backbone.folder and (path := backbone.folder / PREPROCESSOR).is_file():
        stated: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        size = {"height": backbone.side, "width": backbone.side}
        return stated | {"size": size} | ({"crop_size": size} if stated.get("crop_size") else {})
    return preprocessor(backbone.side, (mean, std), crop=False)
