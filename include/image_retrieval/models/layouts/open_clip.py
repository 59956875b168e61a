"""CLIP as open_clip saves it, with the open_clip_config.json beside it that states what no weight does."""

from typing import Any

from image_retrieval.errors import UserError
from image_retrieval.models.description import CLIP
from image_retrieval.models.layouts import clip_vision
from image_retrieval.models.layouts.checkpoint import Checkpoint, Config, Converted, preprocessor
from image_retrieval.models.layouts.renaming import Rule, count, renamed

NAME = "open_clip"
STATED = "open_clip_config.json"
UNREAD = r"(text\.)?attn_mask$|logit_bias$"
RULES = (
    *clip_vision.RULES,
    *clip_vision.blocks(r"(?:text\.)?transformer", "text_model"),
    Rule(r"(?:text\.)?token_embedding\.weight", "text_model.embeddings.token_embedding.weight"),
    Rule(r"(?:text\.)?positional_embedding", "text_model.embeddings.position_embedding.weight"),
    Rule(rf"(?:text\.)?ln_final\.{clip_vision.PARTS}", r"text_model.final_layer_norm.\1"),
    Rule(r"(?:text\.)?text_projection", "text_projection.weight", transposed=True),
    Rule(r"(?:text\.)?text_projection\.weight", "text_projection.weight"),
)
# what transformers' CLIP can do; anything else there is another network
VISION = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"}
TEXT = {
    "context_length",
    "vocab_size",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
    "hf_tokenizer_name",
    "tokenizer_kwargs",
}
MODEL = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text"}


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of open_clip's vision transformer and text transformer."""
    return "visual.class_embedding" in names and bool({"token_embedding.weight", "text.token_embedding.weight"} & names)


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type clip."""
    weights, (model, prepared) = checkpoint.weights, _stated(checkpoint)
    act = "quick_gelu" if model.get("quick_gelu") else "gelu"
    head = int(model["vision_cfg"].get("head_width", 64))
    vision = clip_vision.vision_config(weights, act=act, heads=int(model["vision_cfg"]["width"]) // head)
    prefix = "text." if "text.token_embedding.weight" in weights else ""
    vocabulary, width = weights[f"{prefix}token_embedding.weight"].shape
    text = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": weights[f"{prefix}transformer.resblocks.0.mlp.c_fc.weight"].shape[0],
        "num_hidden_layers": count(weights, rf"{prefix}transformer\.resblocks\.(\d+)\."),
        "num_attention_heads": int(model["text_cfg"]["heads"]),
        "max_position_embeddings": weights[f"{prefix}positional_embedding"].shape[0],
        "hidden_act": act,
        "layer_norm_eps": 1e-5,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,  # the place whose features are the text's
        "pad_token_id": vocabulary - 1,
    }
    config = {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": weights["visual.proj"].shape[1],
        "vision_config": vision,
        "text_config": text,
    }
    mean, std = prepared.get("mean") or CLIP[0], prepared.get("std") or CLIP[1]
    files = preprocessor(vision["image_size"], (tuple(mean), tuple(std)))
    return Converted(NAME, config, files, renamed(weights, RULES, UNREAD, NAME))


def _stated(checkpoint: Checkpoint) -> tuple[Config, Config]:
    """`model_cfg` and `preprocess_cfg` of open_clip_config.json."""
    stated: dict[str, Any] = dict(checkpoint.beside.get(STATED) or {})
    if not stated:
        raise UserError(f"weights of open_clip need their {STATED} beside them: it states the activation and the heads")
    model = stated.get("model_cfg") or stated
    unknown = {
        *(f"{name}" for name in model.keys() - MODEL),
        *(f"vision_cfg.{name}" for name in model["vision_cfg"].keys() - VISION),
        *(f"text_cfg.{name}" for name in model["text_cfg"].keys() - TEXT),
    }
    if unknown:
        told = ", ".join(sorted(unknown))[:200]
        told = told if told.isprintable() else repr(told)
        raise UserError(f"{STATED} states {told}: only plain CLIP transformers are converted")
    return model, stated.get("preprocess_cfg") or {}
