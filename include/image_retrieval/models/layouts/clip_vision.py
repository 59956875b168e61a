"""The vision transformer that CLIP, open_clip and Chinese-CLIP have in common."""

from image_retrieval.models.layouts.checkpoint import Config, Weights
from image_retrieval.models.layouts.renaming import Rule, count, heads_of

PARTS = r"(weight|bias)"


def blocks(before: str, after: str) -> tuple[Rule, ...]:
    """The rules of a transformer's blocks, from under one prefix to under another."""
    block, into = rf"{before}\.resblocks\.(\d+)\.", rf"{after}.encoder.layers.\1."
    return (
        Rule(rf"{block}attn\.in_proj_{PARTS}", tuple(rf"{into}self_attn.{part}_proj.\2" for part in "qkv")),
        Rule(rf"{block}attn\.out_proj\.{PARTS}", rf"{into}self_attn.out_proj.\2"),
        Rule(rf"{block}ln_([12])\.{PARTS}", rf"{into}layer_norm\2.\3"),
        Rule(rf"{block}mlp\.c_fc\.{PARTS}", rf"{into}mlp.fc1.\2"),
        Rule(rf"{block}mlp\.c_proj\.{PARTS}", rf"{into}mlp.fc2.\2"),
    )


RULES = (
    Rule(r"visual\.class_embedding", "vision_model.embeddings.class_embedding"),
    Rule(r"visual\.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    Rule(r"visual\.conv1\.weight", "vision_model.embeddings.patch_embedding.weight"),
    Rule(rf"visual\.ln_pre\.{PARTS}", r"vision_model.pre_layrnorm.\1"),
    Rule(rf"visual\.ln_post\.{PARTS}", r"vision_model.post_layernorm.\1"),
    Rule(r"visual\.proj", "visual_projection.weight", transposed=True),
    *blocks(r"visual\.transformer", "vision_model"),
    Rule(r"logit_scale", "logit_scale"),
)


def vision_config(weights: Weights, *, act: str, heads: int | None = None) -> Config:
    """The vision part of a config, as the shapes of the weights tell it."""
    width, _, patch, _ = weights["visual.conv1.weight"].shape
    places = weights["visual.positional_embedding"].shape[0] - 1
    side = round(places**0.5)
    if side * side != places:
        raise ValueError(f"{places} positions are no square")
    return {
        "hidden_size": width,
        "intermediate_size": weights["visual.transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": count(weights, r"visual\.transformer\.resblocks\.(\d+)\."),
        "num_attention_heads": heads or heads_of(width),
        "patch_size": patch,
        "image_size": side * patch,
        "hidden_act": act,
        "layer_norm_eps": 1e-5,
    }
