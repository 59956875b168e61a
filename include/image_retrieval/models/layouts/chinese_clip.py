"""Chinese-CLIP as OFA published it: `.pt` files of a vision transformer and a BERT."""

from image_retrieval.models.description import CLIP
from image_retrieval.models.layouts import clip_vision
from image_retrieval.models.layouts.checkpoint import Checkpoint, Converted, preprocessor
from image_retrieval.models.layouts.renaming import Rule, count, heads_of, renamed

NAME = "Chinese-CLIP"
UNREAD = r"bert\.pooler\.|bert\.embeddings\.position_ids$"
RULES = (
    *clip_vision.RULES,
    Rule(r"bert\.((?:embeddings|encoder)\..+)", r"text_model.\1"),
    Rule(r"text_projection", "text_projection.weight", transposed=True),
)


def matches(names: frozenset[str]) -> bool:
    """Whether these are the names of a vision transformer beside a BERT."""
    return "visual.class_embedding" in names and "bert.embeddings.word_embeddings.weight" in names


def convert(checkpoint: Checkpoint) -> Converted:
    """The model of type chinese_clip."""
    weights = checkpoint.weights
    vision = clip_vision.vision_config(weights, act="quick_gelu")
    vocabulary, width = weights["bert.embeddings.word_embeddings.weight"].shape
    text = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": weights["bert.encoder.layer.0.intermediate.dense.weight"].shape[0],
        "num_hidden_layers": count(weights, r"bert\.encoder\.layer\.(\d+)\."),
        "num_attention_heads": heads_of(width),
        "max_position_embeddings": weights["bert.embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": weights["bert.embeddings.token_type_embeddings.weight"].shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    config = {
        "model_type": "chinese_clip",
        "architectures": ["ChineseCLIPModel"],
        "projection_dim": weights["visual.proj"].shape[1],
        "vision_config": vision,
        "text_config": text,
    }
    files = preprocessor(vision["image_size"], CLIP, crop=False)
    return Converted(NAME, config, files, renamed(weights, RULES, UNREAD, NAME))
