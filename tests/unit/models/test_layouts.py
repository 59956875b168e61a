"""A model that is written in a foreign layout and converted back makes the vectors that it made before."""

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file

from image_retrieval.errors import UserError
from image_retrieval.models.adding import write_model
from image_retrieval.models.fetching import Fetched
from image_retrieval.models.layouts import convert
from image_retrieval.models.layouts.checkpoint import Checkpoint
from image_retrieval.models.towers import load_image_tower, load_text_tower
from unit.models.vocabularies import VOCABULARIES

SIDE = 32
PIXELS = torch.randint(0, 256, (2, SIDE, SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TEXTS = ["a cat", "cat cat cat"]
Weights = dict[str, torch.Tensor]

# 128 channels are two heads of 64, as all of these layouts have them
HIDDEN: dict[str, Any] = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**HIDDEN, "intermediate_size": 256, "image_size": SIDE, "patch_size": 8}
TEXT = {**HIDDEN, "intermediate_size": 256, "max_position_embeddings": 16}
STAGES = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [2, 1]}
VIT = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.mask_token", "mask_token"),
    ("embeddings.register_tokens", "register_tokens"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("encoder.layer.", "blocks."),
    ("attention.attention.query", "attn.qkv"),
    ("attention.output.dense", "attn.proj"),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("layer_scale1.lambda1", "ls1.gamma"),
    ("layer_scale2.lambda1", "ls2.gamma"),
    ("mlp.weights_in", "mlp.w12"),
    ("mlp.weights_out", "mlp.w3"),
    ("layernorm.", "norm."),
)
SWIN = (
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("embeddings.norm", "patch_embed.norm"),
    ("encoder.layers", "layers"),
    ("attention.self.query", "attn.qkv"),
    ("attention.self.relative_position_bias_table", "attn.relative_position_bias_table"),
    *VIT[7:12],
    ("layernorm.", "norm."),
)
RESNET = (
    ("embedder.embedder.convolution", "conv1"),
    ("embedder.embedder.normalization", "bn1"),
    ("encoder.stages.0.layers", "layer1"),
    ("encoder.stages.1.layers", "layer2"),
    ("shortcut.convolution", "downsample.0"),
    ("shortcut.normalization", "downsample.1"),
    *(
        (f"layer.{number}.{kind}", f"{short}{number + 1}")
        for number in range(3)
        for kind, short in (("convolution", "conv"), ("normalization", "bn"))
    ),
)
CLIP_VISION = (
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    ("vision_model.embeddings.patch_embedding", "visual.conv1"),
    ("vision_model.pre_layrnorm", "visual.ln_pre"),
    ("vision_model.post_layernorm", "visual.ln_post"),
    ("vision_model.encoder.layers", "visual.transformer.resblocks"),
    ("visual_projection.weight", "visual.proj"),
    ("text_projection.weight", "text_projection"),
    ("layer_norm", "ln_"),
    ("self_attn.q_proj.", "attn.in_proj_"),
    ("self_attn.out_proj", "attn.out_proj"),
)
CLIP = (
    *CLIP_VISION,
    ("text_model.embeddings.token_embedding", "token_embedding"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_ln_", "ln_final"),
    ("text_model.final_layer_norm", "ln_final"),
    ("text_model.encoder.layers", "transformer.resblocks"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
)
CHINESE = (*CLIP_VISION, ("text_model.", "bert."), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"))


def foreign(weights: Weights, pairs: tuple[tuple[str, str], ...], parts: tuple[str, ...] = ()) -> Weights:
    """Weights under other names; of `parts`, the second and third are appended to the first."""
    found: Weights = {}
    for name, values in weights.items():
        others = [name.replace(parts[0], part) for part in parts[1:]] if parts and parts[0] in name else []
        if any(part in name for part in parts[1:]):
            continue
        whole = torch.cat([values, *(weights[other] for other in others)]) if others else values
        for before, after in pairs:
            name = name.replace(before, after)
        found[name] = whole.T.contiguous() if name in ("visual.proj", "text_projection") else whole
    return found


def untouched(weights: Weights) -> Weights:
    return {name: values for name, values in weights.items() if not name.startswith("pooler.")}


def vit(weights: Weights) -> Weights:
    names = tuple(f"attention.attention.{part}." for part in ("query", "key", "value"))
    return foreign(untouched(weights), VIT, names) | {"head.weight": torch.ones(3, 128)}


def without_place_of_the_class(weights: Weights) -> Weights:
    found = vit(weights)
    found["cls_token"] = found["cls_token"] + found["pos_embed"][:, :1]
    found["reg_token"] = found.pop("register_tokens")
    del found["mask_token"]
    return found | {"pos_embed": found["pos_embed"][:, 1:]}


def in_chunks(weights: Weights) -> Weights:
    return {name.replace("blocks.", "blocks.0."): values for name, values in vit(weights).items()}


def resnet(weights: Weights) -> Weights:
    return foreign(untouched(weights), RESNET) | {"fc.weight": torch.ones(3, 32), "fc.bias": torch.ones(3)}


def moco(weights: Weights) -> Weights:
    kept, other = resnet(weights), {name: values * 2 for name, values in resnet(weights).items()}
    found = {f"module.backbone.{name}": values for name, values in kept.items() if not name.startswith("fc.")}
    found |= {f"module.encoder_k.0.{name}": values for name, values in other.items()}
    return found | {"module.queue": torch.ones(4, 8), "module.queue_ptr": torch.zeros(1)}


SWAV = {
    **{f"neck.{name}.{part}": torch.ones(4) for name in ("fc0", "bn0", "fc1") for part in ("weight", "bias")},
    "neck.bn0.running_mean": torch.zeros(4),
}


def swav(weights: Weights) -> Weights:
    """As EasyCV saves it, with several sets of prototypes."""
    found = {f"backbone.{name}": values for name, values in resnet(weights).items() if not name.startswith("fc.")}
    return found | SWAV | {f"prototypes.prototypes{number}.weight": torch.ones(4, 8) for number in (0, 1)}


def its_authors_swav(weights: Weights) -> Weights:
    found = {f"module.{name}": values for name, values in resnet(weights).items() if not name.startswith("fc.")}
    beside = (
        "projection_head.0.weight",
        "projection_head.1.running_var",
        "projection_head.3.bias",
        "prototypes.weight",
    )
    return found | {f"module.{name}": torch.ones(4) for name in beside}


def swav_of_swin(weights: Weights) -> Weights:
    return {f"backbone.{name}": values for name, values in swin(weights).items()} | SWAV


def swin(weights: Weights) -> Weights:
    names = tuple(f"attention.self.{part}." for part in ("query", "key", "value"))
    found = foreign(untouched(weights), SWIN, names)
    return found | {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16)}


def moby(weights: Weights) -> Weights:
    found = {f"backbone.model.{name}": values for name, values in swin(weights).items()}
    return found | {"projector_q.fc.weight": torch.ones(3, 3), "encoder_k.norm.weight": torch.ones(32)}


def newer_swin(weights: Weights) -> Weights:
    return {name.replace("layers.0.downsample", "layers.1.downsample"): part for name, part in swin(weights).items()}


def open_clip(weights: Weights) -> Weights:
    names = tuple(f"self_attn.{part}_proj." for part in "qkv")
    return foreign(untouched(weights), CLIP, names)


def apart(weights: Weights) -> Weights:
    found = open_clip(weights)
    return {
        name if name.startswith(("visual.", "logit_scale")) else f"text.{name}": values
        for name, values in found.items()
    }


def ofa(weights: Weights) -> Weights:
    names = tuple(f"self_attn.{part}_proj." for part in "qkv")
    found = foreign(untouched(weights), CHINESE, names) | {"bert.pooler.dense.bias": torch.ones(128)}
    return {f"module.{name}": values for name, values in found.items()}


def openai_vocabulary(folder: Path) -> None:
    """As OpenAI's, which every open_clip has: the marks of beginning and end come last."""
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = [*letters, "at</w>", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    merges = [("a", "t</w>"), ("c", "at</w>")]
    vocab = {token: number for number, token in enumerate(vocabulary)}
    transformers.CLIPTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def clip(act: str) -> Callable[[], Any]:
    special = {"vocab_size": 56, "pad_token_id": 55, "bos_token_id": 54, "eos_token_id": 55}
    vision, text = {**VISION, "hidden_act": act}, {**TEXT, **special, "hidden_act": act}
    return lambda: transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)


def stated(act: str) -> dict[str, Any]:
    vision = {"image_size": SIDE, "layers": 2, "width": 128, "patch_size": 8}
    text = {"context_length": 16, "vocab_size": 56, "width": 128, "heads": 2, "layers": 2}
    model = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text, "quick_gelu": act == "quick_gelu"}
    return {"open_clip_config.json": {"model_cfg": model, "preprocess_cfg": {}}}


def dinov2(**options: Any) -> Callable[[], Any]:
    kind = transformers.Dinov2WithRegistersConfig if "num_register_tokens" in options else transformers.Dinov2Config
    return lambda: kind(**HIDDEN, image_size=SIDE, patch_size=8, **options)


SWIN_CONFIG = {"image_size": SIDE, "patch_size": 4, "embed_dim": 16, "depths": [2, 1], "num_heads": [2, 4]}
CASES: dict[str, tuple[Callable[[], Any], Callable[[Weights], Weights], dict[str, Any]]] = {
    "timm ViT": (lambda: transformers.ViTConfig(**VISION, layer_norm_eps=1e-6), vit, {}),
    "DINOv2": (dinov2(), vit, {}),
    "DINOv2, gated": (dinov2(use_swiglu_ffn=True), vit, {}),
    "DINOv2 with registers": (dinov2(num_register_tokens=4), vit, {}),
    "DINOv2 with registers, timm": (dinov2(num_register_tokens=4), without_place_of_the_class, {}),
    "DINOv2 in chunks": (dinov2(), in_chunks, {}),
    "ResNet": (lambda: transformers.ResNetConfig(**STAGES), resnet, {}),
    "ResNet of two": (lambda: transformers.ResNetConfig(**STAGES, layer_type="basic"), resnet, {}),
    "EasyCV MoCo": (lambda: transformers.ResNetConfig(**STAGES), moco, {}),
    "EasyCV SwAV": (lambda: transformers.ResNetConfig(**STAGES), swav, {}),
    "SwAV": (lambda: transformers.ResNetConfig(**STAGES), its_authors_swav, {}),
    "EasyCV SwAV of Swin": (lambda: transformers.SwinConfig(**SWIN_CONFIG, window_size=4), swav_of_swin, {}),
    "Swin": (lambda: transformers.SwinConfig(**SWIN_CONFIG, window_size=4), swin, {}),
    "Swin, newer timm": (lambda: transformers.SwinConfig(**SWIN_CONFIG, window_size=4), newer_swin, {}),
    "EasyCV MoBY": (lambda: transformers.SwinConfig(**SWIN_CONFIG, window_size=4), moby, {}),
    "open_clip": (clip("gelu"), open_clip, stated("gelu")),
    "open_clip, quick": (clip("quick_gelu"), apart, stated("quick_gelu")),
    "Chinese-CLIP": (
        lambda: transformers.ChineseCLIPConfig(
            text_config={**TEXT, "vocab_size": 20}, vision_config=VISION, projection_dim=16
        ),
        ofa,
        {},
    ),
}


@pytest.fixture(params=CASES)
def models(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path, str]:
    """A model as transformers saves it, and as it comes from its foreign layout."""
    config, rewritten, beside = CASES[request.param]
    own, back = tmp_path / "own", tmp_path / "back"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config())
        for name, values in (*model.named_parameters(), *model.named_buffers()):
            if values.is_floating_point():
                around = 1.0 if values.dim() == 1 and name.endswith(("weight", "lambda1", "running_var")) else 0.0
                torch.nn.init.normal_(values, mean=around, std=0.1)
                values.data.abs_() if name.endswith("running_var") else None
    model.save_pretrained(own)
    back.mkdir()
    checkpoint = tmp_path / "checkpoint.pth"
    torch.save(
        {
            "meta": {"epoch": 3, "config": "model = dict()"},
            "optimizer": {"state": {}},
            "state_dict": rewritten(load_file(own / "model.safetensors")),
        },
        checkpoint,
    )
    for name, values in beside.items():
        (tmp_path / name).write_text(json.dumps(values))
    for folder in (own, back):
        VOCABULARIES["chinese_clip"](folder) if "Chinese" in request.param else openai_vocabulary(folder)
    layout, _ = write_model(Fetched(tmp_path, (checkpoint,)), tmp_path, back)
    return own, back, layout


def likeness(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(found, wanted).min())


def test_vectors_are_those_of_the_model_that_was_rewritten(models):
    own, back, layout = models
    normalised = (back / "preprocessor_config.json").read_bytes()
    (own / "preprocessor_config.json").write_bytes(normalised)
    wanted, found = (load_image_tower(at, dtype="float32", device="cpu", use_cls_token=True) for at in (own, back))
    assert likeness(found.embed(PIXELS), wanted.embed(PIXELS)) >= 0.9999
    assert likeness(found.embed(PIXELS[:1]), found.embed(PIXELS[1:])) < 0.9999
    if "CLIP" in layout or "open_clip" in layout:
        read, meant = (load_text_tower(at, dtype="float32", device="cpu").embed(TEXTS) for at in (back, own))
        assert likeness(read, meant) >= 0.9999
        assert likeness(read[:1], read[1:]) < 0.9999


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"layer.weight": torch.ones(2)}, "of no known layout"),
        ({"module.a": torch.ones(2)}, "of no known layout"),
        ({"cls_token": torch.ones(1), "pos_embed": torch.ones(1), "patch_embed.proj.weight": torch.ones(1)}, "shaped"),
        ({"conv1.weight": torch.ones(2), "bn1.weight": torch.ones(2), "layer1.0.conv1.weight": torch.ones(2)}, "conv"),
    ],
)
def test_weights_of_no_layout_are_told_in_one_line(weights, told):
    with pytest.raises(UserError, match=f"^[^\n]*{told}[^\n]*$"):
        convert(Checkpoint(weights))


def vit_weights() -> Weights:
    """Those of a vision transformer of one layer, under timm's names."""
    shapes = {"norm1": (8,), "norm2": (8,), "attn.qkv": (24, 8), "attn.proj": (8, 8), "mlp.fc1": (16, 8)}
    shapes |= {"mlp.fc2": (8, 16)}
    found = {f"blocks.0.{name}.weight": torch.ones(shape) for name, shape in shapes.items()}
    found |= {f"blocks.0.{name}.bias": torch.ones(shape[0]) for name, shape in shapes.items()}
    found |= {"cls_token": torch.ones(1, 1, 8), "pos_embed": torch.ones(1, 5, 8), "norm.weight": torch.ones(8)}
    return found | {"patch_embed.proj.weight": torch.ones(8, 3, 4, 4), "patch_embed.proj.bias": torch.ones(8)}


def test_weights_that_a_layout_does_not_know_are_another_network():
    with pytest.raises(UserError, match=r"the weights hold fc_norm\.weight, which the layout timm ViT has not"):
        convert(Checkpoint(vit_weights() | {"fc_norm.weight": torch.ones(8)}))


@pytest.mark.parametrize(
    "name",
    [
        "blocks.0.attn.q_proj.weight",  # of EVA-02, base and large
        "blocks.0.attn.q_bias",  # tiny, small and the giant EVA
        "blocks.0.mlp.fc1_g.weight",
        "rope.freqs_cos",
        "blocks.0.attn.rope.freqs_cos",  # as its authors have it
        "visual.blocks.0.mlp.w1.weight",  # of EVA-CLIP
    ],
)
def test_weights_of_eva_are_refused_by_their_name(name):
    with pytest.raises(
        UserError, match=r"^the weights are those of EVA, EVA-02 or BEiT \([^\n]+\), which are not supported"
    ):
        convert(Checkpoint(vit_weights() | {name: torch.ones(8)}))


def test_weights_of_open_clip_need_what_states_their_activation():
    weights = {"visual.class_embedding": torch.ones(8), "token_embedding.weight": torch.ones(8, 8)}
    with pytest.raises(UserError, match=r"need their open_clip_config\.json beside them"):
        convert(Checkpoint(weights))


def test_another_tower_of_open_clip_is_told():
    weights = {"visual.class_embedding": torch.ones(8), "token_embedding.weight": torch.ones(8, 8)}
    beside = stated("gelu")
    beside["open_clip_config.json"]["model_cfg"]["vision_cfg"]["timm_model_name"] = "eva"
    with pytest.raises(UserError, match=r"states vision_cfg\.timm_model_name: only plain CLIP"):
        convert(Checkpoint(weights, beside))


def test_timm_states_how_its_pictures_are_normalised():
    half = {"mean": [0.5] * 3, "std": [0.25] * 3, "input_size": [3, 40, 40]}
    config = {"architecture": "vit_tiny", "pretrained_cfg": half}
    made, bare = convert(Checkpoint(vit_weights(), {"config.json": config})), convert(Checkpoint(vit_weights()))
    found = made.preprocessor
    assert (found["image_mean"], found["image_std"], found["size"]) == (
        [0.5] * 3,
        [0.25] * 3,
        {"height": 40, "width": 40},
    )
    assert made.assumed == ()
    assert bare.assumed == ("normalised with means 0.485, 0.456, 0.406 and deviations 0.229, 0.224, 0.225",)
