"""Weights that packages hold, converted, make the vectors that their own programs make."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from real_weights import class_token_of, efficientnet_lite, focus_program, in_dinov2s_layout, likeness, needed

from image_retrieval.errors import UserError
from image_retrieval.models.adding import write_model
from image_retrieval.models.description import IMAGENET_MEAN, IMAGENET_STD
from image_retrieval.models.fetching import Fetched
from image_retrieval.models.towers import load_image_tower

pytestmark = [pytest.mark.real, pytest.mark.slow]


def pixels(side: int) -> torch.Tensor:
    """Two pictures that are no noise: soft waves of colour."""
    places = torch.linspace(0, 6, side)
    waves = [torch.sin(places[:, None] * (1 + step) + places[None] * (2 - step)) for step in (0.0, 0.7, 1.9)]
    picture = ((torch.stack(waves, dim=-1) + 1) * 127).to(torch.uint8)
    return torch.stack([picture, picture.flip(0).roll(1, dims=2) // 2])


def normalised(side: int, mean: Any, std: Any) -> torch.Tensor:
    return ((pixels(side).permute(0, 3, 1, 2) / 255) - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(
        3, 1, 1
    )


def embedded(weights: Path, target: Path, side: int, dtype: str = "float32") -> torch.Tensor:
    if not (target / "config.json").is_file():
        target.mkdir()
        write_model(Fetched(weights.parent, (weights,)), weights.parent, target)
    return load_image_tower(target, dtype=dtype, device="cpu", use_cls_token=True).embed(pixels(side))


def test_efficientnet_lite_is_equal_to_a_second_implementation(tmp_path):
    weights, other = efficientnet_lite()
    wanted = other(pixels(260))
    found = embedded(weights, tmp_path / "model", 260)
    assert likeness(found, wanted) >= 0.9999
    assert likeness(found[:1], found[1:]) < 0.99
    assert likeness(embedded(weights, tmp_path / "model", 260, "float16"), wanted) >= 0.999
    assert likeness(embedded(weights, tmp_path / "model", 260, "bfloat16"), wanted) >= 0.97  # 8 bits, sixty layers


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "vit_small_patch14_dinov2",
        "vit_small_patch14_reg4_dinov2",
        "resnet18",
        "resnet50",
        "swin_tiny_patch4_window7_224",
    ],
)
def test_timms_networks_make_the_same_vectors(tmp_path, name):
    timm = needed("timm")
    torch.manual_seed(0)
    size = {"img_size": 224} if "dinov2" in name else {}
    other = timm.create_model(name, pretrained=False, num_classes=0, **size).eval()
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 else 0.0, std=0.05)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    stated = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "input_size": [3, 224, 224]}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name, "pretrained_cfg": stated}))
    with torch.inference_mode():
        wanted = other(normalised(224, stated["mean"], stated["std"]))
    found = embedded(tmp_path / "weights.pth", tmp_path / "model", 224)
    assert likeness(found, wanted) >= 0.9999


@pytest.mark.parametrize("name", ["eva02_tiny_patch14_224", "eva02_base_patch14_224", "beit_base_patch16_224"])
def test_timms_eva_is_refused_by_its_name(tmp_path, name):
    other = needed("timm").create_model(name, pretrained=False, num_classes=0)
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"^the weights are those of EVA, EVA-02 or BEiT"):
        embedded(tmp_path / "weights.pth", tmp_path / "model", 224)


def test_open_clips_network_makes_the_same_vectors(tmp_path):
    open_clip = needed("open_clip")
    torch.manual_seed(0)
    vision = {"image_size": 64, "layers": 2, "width": 128, "patch_size": 16}
    text = {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2}
    other = open_clip.CLIP(embed_dim=32, vision_cfg=vision, text_cfg=text).eval()
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 else 0.0, std=0.1)
    torch.save(other.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    model = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    stated = {"model_cfg": model, "preprocess_cfg": {"mean": list(mean), "std": list(std)}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(stated))
    with torch.inference_mode():
        wanted = other.encode_image(normalised(64, mean, std))
        ids = torch.zeros(2, 77, dtype=torch.long)
        ids[0, :4], ids[1, :5] = torch.tensor([49406, 5, 6, 49407]), torch.tensor([49406, 9, 8, 7, 49407])
        meant = other.encode_text(ids)
    assert likeness(embedded(tmp_path / "open_clip_pytorch_model.bin", tmp_path / "model", 64), wanted) >= 0.9999
    from transformers import CLIPModel

    with torch.inference_mode():
        read = CLIPModel.from_pretrained(tmp_path / "model").eval().get_text_features(input_ids=ids).pooler_output
    assert likeness(read, meant) >= 0.9999


def test_a_vision_transformer_in_dinov2s_layout_is_equal_to_its_onnx_program(tmp_path):
    program = focus_program()
    torch.save(in_dinov2s_layout(program), tmp_path / "weights.pth")
    other = class_token_of(program, tmp_path)
    given = normalised(224, IMAGENET_MEAN, IMAGENET_STD)
    assert likeness(embedded(tmp_path / "weights.pth", tmp_path / "model", 224), other(given)) >= 0.9999
