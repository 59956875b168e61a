"""A tiny model of each family with seeded random weights, and the image processor that its family has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

SIDE = 32
SQUARE = {"height": SIDE, "width": SIDE}
VOCABULARY = 64
HIDDEN = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LAYERS = {**HIDDEN, "intermediate_size": 64}
VISION = {**LAYERS, "image_size": SIDE, "patch_size": 8}
TEXT = {**LAYERS, "vocab_size": VOCABULARY, "max_position_embeddings": 16}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
STAGES = {"num_stages": 2, "hidden_sizes": [16, 32], "depths": [1, 1]}
WINDOWS = {"image_size": SIDE, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2]}


@dataclass(frozen=True)
class Case:
    """How a family's tiny model and its processor are made, and the length of its vectors."""

    config: Callable[[], transformers.PreTrainedConfig]
    processor: Callable[[], Any]
    dimensions: int


def vit_like() -> Any:
    return ViTImageProcessorPil(size=SQUARE)


def imagenet() -> Any:
    return ViTImageProcessorPil(size=SQUARE, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def cropped() -> Any:
    return BitImageProcessorPil(size={"shortest_edge": 40}, crop_size=SQUARE)


def convnext_like() -> Any:
    return ConvNextImageProcessorPil(size={"shortest_edge": SIDE})


FAMILIES = {
    "vit": Case(lambda: transformers.ViTConfig(**VISION), vit_like, 32),
    "dinov2": Case(lambda: transformers.Dinov2Config(**HIDDEN, image_size=SIDE, patch_size=8), cropped, 32),
    "dinov2_with_registers": Case(
        lambda: transformers.Dinov2WithRegistersConfig(**HIDDEN, image_size=SIDE, patch_size=8, num_register_tokens=4),
        cropped,
        32,
    ),
    # its own processor needs torchvision; it scales and normalises as this one does
    "dinov3_vit": Case(lambda: transformers.DINOv3ViTConfig(**VISION, num_register_tokens=3), imagenet, 32),
    "clip": Case(
        lambda: transformers.CLIPConfig(text_config={**TEXT, **SPECIAL}, vision_config=VISION, projection_dim=16),
        lambda: CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE),
        16,
    ),
    "chinese_clip": Case(
        lambda: transformers.ChineseCLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=16),
        lambda: ChineseCLIPImageProcessorPil(size=SQUARE, do_center_crop=False),
        16,
    ),
    "siglip": Case(
        lambda: transformers.SiglipConfig(text_config={**TEXT, **SPECIAL}, vision_config=VISION),
        lambda: SiglipImageProcessorPil(size=SQUARE),
        32,
    ),
    "siglip2": Case(
        lambda: transformers.Siglip2Config(
            text_config={**TEXT, **SPECIAL}, vision_config={**LAYERS, "patch_size": 8, "num_patches": 9}
        ),
        lambda: Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16),
        32,
    ),
    "resnet": Case(
        lambda: transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1]), convnext_like, 32
    ),
    "convnext": Case(lambda: transformers.ConvNextConfig(**STAGES), convnext_like, 32),
    "convnextv2": Case(lambda: transformers.ConvNextV2Config(**STAGES), convnext_like, 32),
    "dinov3_convnext": Case(
        lambda: transformers.DINOv3ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1] * 4), imagenet, 32
    ),
    "swin": Case(lambda: transformers.SwinConfig(**WINDOWS, window_size=4), imagenet, 32),
    "swinv2": Case(lambda: transformers.Swinv2Config(**WINDOWS, window_size=4), imagenet, 32),
}
TRANSFORMERS = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit")
DUAL_ENCODERS = ("clip", "chinese_clip", "siglip", "siglip2")


def save(name: str, folder: Path) -> Path:
    """Write a family's tiny model, whose weights tell pictures apart, and its processor's file."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(FAMILIES[name].config())
        for weights in model.parameters():
            torch.nn.init.normal_(weights, mean=0.5 if weights.dim() == 1 else 0.0, std=0.2)
    model.save_pretrained(folder)
    FAMILIES[name].processor().save_pretrained(folder)
    return folder
