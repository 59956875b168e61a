"""Swin as its authors, timm and EasyCV name its weights."""

import re

from image_retrieval.models.description import IMAGENET
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted, by_timm
from image_retrieval.models.layouts.renaming import Rule, count, renamed

NAME = "Swin"
UNREAD = r"head\.|.*\.(relative_position_index|attn_mask)$"  # classifiers, and what follows from the size alone
PARTS = r"(weight|bias)"
BLOCK, INTO = r"layers\.(\d+)\.blocks\.(\d+)\.", r"encoder.layers.\1.blocks.\2."
DOWN = rf"layers\.(\d+)\.downsample\.(norm|reduction)\.{PARTS}"
RULES = (
    Rule(rf"patch_embed\.proj\.{PARTS}", r"embeddings.patch_embeddings.projection.\1"),
    Rule(rf"patch_embed\.norm\.{PARTS}", r"embeddings.norm.\1"),
    Rule(rf"norm\.{PARTS}", r"layernorm.\1"),
    Rule(
        rf"{BLOCK}attn\.qkv\.{PARTS}", tuple(rf"{INTO}attention.self.{part}.\3" for part in ("query", "key", "value"))
    ),
    Rule(rf"{BLOCK}attn\.proj\.{PARTS}", rf"{INTO}attention.output.dense.\3"),
    Rule(rf"{BLOCK}attn\.(relative_position_bias_table)", rf"{INTO}attention.self.\3"),
    Rule(rf"{BLOCK}norm1\.{PARTS}", rf"{INTO}layernorm_before.\3"),
    Rule(rf"{BLOCK}norm2\.{PARTS}", rf"{INTO}layernorm_after.\3"),
    Rule(rf"{BLOCK}mlp\.fc1\.{PARTS}", rf"{INTO}intermediate.dense.\3"),
    Rule(rf"{BLOCK}mlp\.fc2\.{PARTS}", rf"{INTO}output.dense.\3"),
)
ENDS_A_STAGE = Rule(DOWN, r"encoder.layers.\1.downsample.\2.\3")  # as its authors have it, and timm had
BEGINS_A_STAGE = Rule(DOWN, lambda match: f"encoder.layers.{int(match[1]) - 1}.downsample.{match[2]}.{match[3]}")


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of a Swin: windows with a learnt table of relative positions."""
    return {"patch_embed.proj.weight", "layers.0.blocks.0.attn.relative_position_bias_table"} <= names


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type swin."""
    weights = checkpoint.weights
    channels, _, patch, _ = weights["patch_embed.proj.weight"].shape
    tables = "layers.{}.blocks.0.attn.relative_position_bias_table"
    stages = count(weights, r"layers\.(\d+)\.")
    window = (round(weights[tables.format(0)].shape[0] ** 0.5) + 1) // 2
    hidden = weights["layers.0.blocks.0.mlp.fc1.weight"].shape[0]
    stated = (checkpoint.timm.get("pretrained_cfg") or {}).get("input_size")
    side = int(stated[-1]) if stated else window * patch * 2 ** (stages - 1)
    config = {
        "model_type": "swin",
        "architectures": ["SwinModel"],
        "embed_dim": channels,
        "patch_size": patch,
        "window_size": window,
        "depths": [count(weights, rf"layers\.{stage}\.blocks\.(\d+)\.") for stage in range(stages)],
        "num_heads": [weights[tables.format(stage)].shape[1] for stage in range(stages)],
        "mlp_ratio": hidden / channels,
        "qkv_bias": "layers.0.blocks.0.attn.qkv.bias" in weights,
        "image_size": side,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
    }
    ends = any(re.match(r"layers\.0\.downsample\.", name) for name in weights)
    rules = (*RULES, ENDS_A_STAGE if ends else BEGINS_A_STAGE)
    preprocessor, assumed = by_timm(checkpoint, side, IMAGENET)
    return Converted(NAME, config, preprocessor, renamed(weights, rules, UNREAD, NAME), assumed)
