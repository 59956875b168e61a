"""Captioners of every family with seeded random weights, a few kilobytes each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 32
WORDS = 60
PAD, START, END, BEGIN, PICTURE, ENGLISH, CHINESE = range(7)
SPECIAL = ("[PAD]", "[START]", "[END]", "[BEGIN]", "[PICTURE]", "[en]", "[zh]")
CHAT = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")  # of Qwen-VL
IMAGE_PAD = WORDS + len(CHAT) - 1
NORMALISATION = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": SIDE, "width": SIDE}}


def save_tokenizer(folder: Path, more: tuple[str, ...] = ()) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [*SPECIAL, *(f"w{number}" for number in range(WORDS - len(SPECIAL))), *more]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", bos_token="[START]", eos_token="[END]", unk_token="w0"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL[3:], *more]})
    tokenizer.save_pretrained(folder)


def _vision_encoder_decoder() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel, VisionEncoderDecoderModel, ViTConfig, ViTModel

    encoder = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=SIDE, patch_size=16
    )
    decoder = GPT2Config(
        vocab_size=WORDS, n_positions=64, n_embd=16, n_layer=2, n_head=2, add_cross_attention=True, is_decoder=True,
        bos_token_id=START, eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    model = VisionEncoderDecoderModel(
        encoder=ViTModel(encoder, add_pooling_layer=False), decoder=GPT2LMHeadModel(decoder)
    )
    model.config.decoder_start_token_id = START
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id, config.eos_token_id, config.pad_token_id = START, END, PAD
    return model


def _blip() -> Any:
    from transformers import BlipConfig, BlipForConditionalGeneration

    text = {"vocab_size": WORDS, "hidden_size": 16, "encoder_hidden_size": 16, "intermediate_size": 16}
    text |= {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 80}
    text |= {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD, "sep_token_id": END}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": SIDE, "patch_size": 16}
    return BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision))


def _git() -> Any:
    from transformers import GitConfig, GitForCausalLM

    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": SIDE, "patch_size": 16}
    return GitForCausalLM(
        GitConfig(
            vision_config=vision,
            vocab_size=WORDS,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=80,
            bos_token_id=START,
            eos_token_id=END,
            pad_token_id=PAD,
        )
    )


def _florence2() -> Any:
    from transformers import Florence2Config, Florence2ForConditionalGeneration

    text = {"model_type": "bart", "vocab_size": WORDS, "d_model": 16, "encoder_layers": 1, "decoder_layers": 2}
    text |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    text |= {"max_position_embeddings": 80, "pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END}
    text |= {"decoder_start_token_id": END, "forced_eos_token_id": END}
    vision: dict[str, Any] = {"depths": (1, 1), "patch_size": (7, 3), "patch_stride": (4, 2), "patch_padding": (3, 1)}
    vision |= {"patch_prenorm": (False, True), "embed_dim": (8, 16), "num_heads": (2, 2), "num_groups": (2, 2)}
    vision |= {"window_size": 4, "projection_dim": 16}
    return Florence2ForConditionalGeneration(
        Florence2Config(text_config=text, vision_config=vision, image_token_id=PICTURE)
    )


def _qwen(version: str) -> Any:
    from transformers import AutoModelForImageTextToText
    from transformers.models.auto import CONFIG_MAPPING

    text: dict[str, Any] = {"vocab_size": WORDS + len(CHAT), "hidden_size": 32, "intermediate_size": 32}
    text |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16}
    text |= {"bos_token_id": START, "eos_token_id": END, "pad_token_id": PAD}
    text |= {"max_position_embeddings": 512, "max_window_layers": 2}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}}
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
    vision |= {"temporal_patch_size": 2, "hidden_size": 32}
    if version == "qwen2_vl":
        vision |= {"embed_dim": 32, "mlp_ratio": 1}
    else:
        vision |= {"intermediate_size": 32, "out_hidden_size": 32}
    if version == "qwen2_5_vl":
        vision |= {"window_size": 16, "fullatt_block_indexes": [1]}
    if version == "qwen3_vl":
        vision |= {"num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    config = CONFIG_MAPPING[version](text_config=text, vision_config=vision, image_token_id=IMAGE_PAD)
    return AutoModelForImageTextToText.from_config(config)


QWEN = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
FAMILIES: dict[str, Callable[[], Any]] = {
    "vision-encoder-decoder": _vision_encoder_decoder,
    "blip": _blip,
    "git": _git,
    "florence2": _florence2,
}


def save_captioner(folder: Path, family: str = "vision-encoder-decoder", *, seed: int = 0, **generation: Any) -> None:
    """Write a captioner into a folder; `generation` are keys of its generation_config.json."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = _qwen(family) if family in QWEN else FAMILIES[family]()
        with torch.no_grad():
            for weights in model.parameters():
                if weights.dim() > 1:
                    torch.nn.init.normal_(weights, std=0.5)
    model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(folder, CHAT if family in QWEN else ())
    (folder / "preprocessor_config.json").write_text(json.dumps(NORMALISATION))
    if generation:
        path = folder / "generation_config.json"
        path.write_text(json.dumps((json.loads(path.read_text()) if path.is_file() else {}) | generation))
