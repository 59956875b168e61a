"""ResNet as torchvision, timm and EasyCV name its weights."""

import re

import torch

from image_retrieval.errors import UserError
from image_retrieval.models.description import IMAGENET
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted, by_timm
from image_retrieval.models.layouts.renaming import Rule, count, renamed

NAME = "ResNet"
UNREAD = r"fc\.|head\.|projection_head\.|prototypes\."  # classifiers, and what SwAV's training adds
PLAIN = re.compile(r"resnet(18|26|34|50|101|152)(\.|$)")
BLOCK = r"layer(\d+)\.(\d+)\."


def _place(match: re.Match[str]) -> str:
    return f"encoder.stages.{int(match[1]) - 1}.layers.{match[2]}"


def _kind(match: re.Match[str]) -> str:
    kind = {"conv": "convolution", "bn": "normalization"}[match[3]]
    return f"{_place(match)}.layer.{int(match[4]) - 1}.{kind}.{match[5]}"


def _shortcut(match: re.Match[str]) -> str:
    return f"{_place(match)}.shortcut.{('convolution', 'normalization')[int(match[3])]}.{match[4]}"


RULES = (
    Rule(r"conv1\.(weight)", r"embedder.embedder.convolution.\1"),
    Rule(r"bn1\.(\w+)", r"embedder.embedder.normalization.\1"),
    Rule(rf"{BLOCK}(conv|bn)([123])\.(\w+)", _kind),
    Rule(rf"{BLOCK}downsample\.([01])\.(\w+)", _shortcut),
)


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of a ResNet with a stem of one convolution."""
    return {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight"} <= names


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type resnet."""
    weights, architecture = checkpoint.weights, checkpoint.timm.get("architecture", "resnet50")
    if not PLAIN.match(architecture):
        raise UserError(
            f"timm's {architecture[:40]!r} is no plain ResNet: resnet18, 26, 34, 50, 101, 152 are converted"
        )
    last = "conv3" if "layer1.0.conv3.weight" in weights else "conv2"
    stages = count(weights, r"layer(\d+)\.") - 1
    config = {
        "model_type": "resnet",
        "architectures": ["ResNetModel"],
        "embedding_size": weights["conv1.weight"].shape[0],
        "hidden_sizes": [weights[f"layer{stage}.0.{last}.weight"].shape[0] for stage in range(1, stages + 1)],
        "depths": [count(weights, rf"layer{stage}\.(\d+)\.") for stage in range(1, stages + 1)],
        "layer_type": "bottleneck" if last == "conv3" else "basic",
        "hidden_act": "relu",
    }
    preprocessor, assumed = by_timm(checkpoint, 224, IMAGENET)
    kept = renamed(weights, RULES, UNREAD, NAME)
    for name in [name for name in kept if name.endswith("running_mean")]:  # old versions of torch did not count
        kept.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return Converted(NAME, config, preprocessor, kept, assumed)
