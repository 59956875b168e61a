"""Vision transformers as DINOv2's hub files and timm name their weights."""

import torch

from image_retrieval.models.description import IMAGENET
from image_retrieval.models.layouts.checkpoint import Checkpoint, Config, Converted, Weights, by_timm
from image_retrieval.models.layouts.renaming import Rule, count, heads_of, renamed

NAME = "ViT"
UNREAD = r"head\.|fc\.|pre_logits\."  # classifiers, and what only they read
PARTS = r"(weight|bias)"
EMBEDDINGS = (
    Rule(r"cls_token", "embeddings.cls_token"),
    Rule(r"pos_embed", "embeddings.position_embeddings"),
    Rule(r"mask_token", "embeddings.mask_token"),
    Rule(r"reg(?:ister)?_tokens?", "embeddings.register_tokens"),
    Rule(rf"patch_embed\.proj\.{PARTS}", r"embeddings.patch_embeddings.projection.\1"),
    Rule(rf"norm\.{PARTS}", r"layernorm.\1"),
)
BLOCK, INTO = r"blocks\.(?:\d+\.)?(\d+)\.", r"encoder.layer.\1."  # DINOv2's training saves blocks in chunks
ATTENTION = (
    Rule(
        rf"{BLOCK}attn\.qkv\.{PARTS}",
        tuple(rf"{INTO}attention.attention.{part}.\2" for part in ("query", "key", "value")),
    ),
    Rule(rf"{BLOCK}attn\.proj\.{PARTS}", rf"{INTO}attention.output.dense.\2"),
)
VIT = (
    *EMBEDDINGS,
    *ATTENTION,
    Rule(rf"{BLOCK}norm1\.{PARTS}", rf"{INTO}layernorm_before.\2"),
    Rule(rf"{BLOCK}norm2\.{PARTS}", rf"{INTO}layernorm_after.\2"),
    Rule(rf"{BLOCK}mlp\.fc1\.{PARTS}", rf"{INTO}intermediate.dense.\2"),
    Rule(rf"{BLOCK}mlp\.fc2\.{PARTS}", rf"{INTO}output.dense.\2"),
)
DINOV2 = (
    *EMBEDDINGS,
    *ATTENTION,
    Rule(rf"{BLOCK}norm([12])\.{PARTS}", rf"{INTO}norm\2.\3"),
    Rule(rf"{BLOCK}ls([12])\.gamma", rf"{INTO}layer_scale\2.lambda1"),
    Rule(rf"{BLOCK}mlp\.fc([12])\.{PARTS}", rf"{INTO}mlp.fc\2.\3"),
    Rule(rf"{BLOCK}mlp\.w12\.{PARTS}", rf"{INTO}mlp.weights_in.\2"),
    Rule(rf"{BLOCK}mlp\.w3\.{PARTS}", rf"{INTO}mlp.weights_out.\2"),
)


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of a vision transformer with a class token and learnt positions."""
    return {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= names


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type dinov2 or dinov2_with_registers where layers are scaled, else vit."""
    weights = _with_place_of_the_class(checkpoint.weights)
    scaled = any(name.endswith(".ls1.gamma") for name in weights)
    registers = next((weights[name].shape[1] for name in ("register_tokens", "reg_token") if name in weights), 0)
    width, _, patch, _ = weights["patch_embed.proj.weight"].shape
    places = weights["pos_embed"].shape[1] - 1
    side = round(places**0.5)
    if side * side != places:
        raise ValueError(f"{places} positions are no square")
    config: Config = {
        "hidden_size": width,
        "num_hidden_layers": count(weights, BLOCK),
        "num_attention_heads": int((checkpoint.timm.get("model_args") or {}).get("num_heads") or heads_of(width)),
        "patch_size": patch,
        "image_size": side * patch,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": any(name.endswith("attn.qkv.bias") for name in weights),
    }
    layout = "DINOv2" if scaled else "timm ViT"
    if scaled:
        config |= _of_dinov2(weights, width, registers)
        kept = renamed(weights, DINOV2, UNREAD, layout)
        kept.setdefault("embeddings.mask_token", torch.zeros(1, width))
    else:
        config |= {"model_type": "vit", "intermediate_size": _hidden(weights, "mlp.fc1.weight")}
        kept = renamed(weights, VIT, rf"{UNREAD}|mask_token$", layout)
    preprocessor, assumed = by_timm(checkpoint, 224 if scaled and patch == 14 else side * patch, IMAGENET)
    return Converted(layout, config, preprocessor, kept, () if scaled else assumed)


def _of_dinov2(weights: Weights, width: int, registers: int) -> Config:
    gated = any(name.endswith("mlp.w12.weight") for name in weights)
    found: Config = {"model_type": "dinov2_with_registers" if registers else "dinov2", "use_swiglu_ffn": gated}
    if registers:
        found["num_register_tokens"] = registers
    hidden = _hidden(weights, "mlp.w12.weight" if gated else "mlp.fc1.weight")
    # of a gated one, half of the rows are the gate, and transformers takes two thirds of the ratio
    return found | {"mlp_ratio": round(hidden / 2 * 1.5 / width) if gated else hidden // width}


def _hidden(weights: Weights, name: str) -> int:
    held = [int(values.shape[0]) for found, values in weights.items() if found.endswith(name)]
    if not held:
        raise KeyError(name)
    return held[0]


def _with_place_of_the_class(weights: Weights) -> dict[str, torch.Tensor]:
    """The weights with a position of the class token; timm leaves it out where the token has none."""
    positions, found = weights["pos_embed"], dict(weights)
    if round(positions.shape[1] ** 0.5) ** 2 == positions.shape[1]:
        found["pos_embed"] = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    return found
