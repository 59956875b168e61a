"""EfficientNet-Lite as efficientnet_lite_pytorch names its weights."""

import re

from image_retrieval.models.description import CENTRED
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted, preprocessor
from image_retrieval.models.layouts.renaming import Rule, count, renamed

NAME = "EfficientNet-Lite"
UNREAD = r"_fc\."
RULES = (
    Rule(r"_conv_stem\.weight", "stem.conv.weight"),
    Rule(r"_bn0\.(\w+)", r"stem.norm.\1"),
    Rule(r"_conv_head\.weight", "head.conv.weight"),
    Rule(r"_bn1\.(\w+)", r"head.norm.\1"),
    Rule(r"_blocks\.(\d+)\._expand_conv\.weight", r"blocks.\1.expand.0.conv.weight"),
    Rule(r"_blocks\.(\d+)\._bn0\.(\w+)", r"blocks.\1.expand.0.norm.\2"),
    Rule(r"_blocks\.(\d+)\._depthwise_conv\.weight", r"blocks.\1.depthwise.conv.weight"),
    Rule(r"_blocks\.(\d+)\._bn1\.(\w+)", r"blocks.\1.depthwise.norm.\2"),
    Rule(r"_blocks\.(\d+)\._project_conv\.weight", r"blocks.\1.project.conv.weight"),
    Rule(r"_blocks\.(\d+)\._bn2\.(\w+)", r"blocks.\1.project.norm.\2"),
)
STRIDES = [1, 2, 2, 2, 1, 2, 1]  # of the seven stages of every EfficientNet
SIDES = {16: 224, 18: 240, 21: 260, 23: 280, 30: 300}  # by blocks: what Lite 0 to 4 were trained with


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of an EfficientNet without squeeze-and-excitation."""
    excited = any(re.match(r"_blocks\.\d+\._se_", name) for name in names)
    return {"_conv_stem.weight", "_blocks.0._depthwise_conv.weight"} <= names and not excited


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type efficientnet_lite."""
    weights = checkpoint.weights
    blocks = count(weights, r"_blocks\.(\d+)\.")
    after = [int(weights[f"_blocks.{block}._project_conv.weight"].shape[0]) for block in range(blocks)]
    firsts = [block for block in range(blocks) if block == 0 or after[block] != after[block - 1]]
    if len(firsts) != len(STRIDES):
        raise ValueError(f"{len(firsts)} stages instead of {len(STRIDES)}")
    stem = int(weights["_conv_stem.weight"].shape[0])
    before = [stem, *(after[block - 1] for block in firsts[1:])]
    inner = [weights[f"_blocks.{block}._depthwise_conv.weight"] for block in firsts]
    side = SIDES.get(blocks, 224)
    config = {
        "model_type": "efficientnet_lite",
        "image_size": side,
        "stem_channels": stem,
        "out_channels": [after[block] for block in firsts],
        "num_block_repeats": [end - first for first, end in zip(firsts, [*firsts[1:], blocks], strict=True)],
        "kernel_sizes": [int(kernels.shape[-1]) for kernels in inner],
        "strides": STRIDES,
        "expand_ratios": [int(kernels.shape[0]) // width for kernels, width in zip(inner, before, strict=True)],
        "hidden_dim": int(weights["_conv_head.weight"].shape[0]),
        "batch_norm_eps": 1e-3,
    }
    files = preprocessor(side, CENTRED)
    return Converted(NAME, config, files, renamed(weights, RULES, UNREAD, NAME))
