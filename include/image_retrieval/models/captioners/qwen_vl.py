"""Qwen-VL (2, 2.5, 3): a language model that reads the picture's patches inside a chat, and answers in all languages.

Patches are ordered as in Qwen2VLImageProcessor of transformers, and the chat is that of the models' own template. Both
are assembled here, since their processors need torchvision.
"""

from typing import Any

import torch

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.models.captioners.base import Family, ends_of, greedy, repeated
from image_retrieval.models.captioners.question import begun, most_tokens, question

SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"  # of versions 2 and 2.5
PICTURE = "<|image_pad|>"
CHAT = "<|im_start|>user\n<|vision_start|>{picture}<|vision_end|>{question}<|im_end|>\n<|im_start|>assistant\n"


def family(model: Any, tokenizer: Any, options: CaptionOptions, size: tuple[int, int]) -> Family:
    """How this family writes: it goes on with the beginning of an answer in the form.

    `size`: width and height of the pictures, multiples of the side of the patches that are merged.
    """
    vision, languages = model.config.vision_config, options.languages
    rows, columns = size[1] // vision.patch_size, size[0] // vision.patch_size
    pictures = rows * columns // vision.spatial_merge_size**2
    chat = CHAT.format(picture=PICTURE * pictures, question=question(options.prompt, languages))
    system = "" if model.config.model_type == "qwen3_vl" else SYSTEM
    asked = tokenizer(system + chat, add_special_tokens=False).input_ids
    start = tokenizer(begun(languages), add_special_tokens=False).input_ids
    if asked.count(model.config.image_token_id) != pictures:
        raise ValueError(f"the tokenizer does not know {PICTURE} as the model does")
    most = most_tokens(options.max_new_tokens, languages)
    config = greedy(model, most, eos_token_id=getattr(model.config.text_config, "eos_token_id", None))
    config.repetition_penalty = 1.0  # else quotes and commas of the form would suffer
    is_picture = [int(token == model.config.image_token_id) for token in (*asked, *start)]

    def generate(pixels: torch.Tensor, _: int | None) -> torch.Tensor:
        given = repeated([*asked, *start], pixels)
        ids: torch.Tensor = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            mm_token_type_ids=repeated(is_picture, pixels),
            pixel_values=patches(pixels, vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size),
            image_grid_thw=repeated([1, rows, columns], pixels),
            generation_config=config,
        )
        return ids

    return Family(generate, lambda _: len(asked), len(start), ends_of(config), together=True)


def patches(pixels: torch.Tensor, side: int, merged: int, frames: int) -> torch.Tensor:
    """Pixels (batch, channels, height, width) as rows of patches (batch · patches, channels · frames · side · side).

    The patches that the model merges, `merged` × `merged`, follow one another. A picture counts as `frames` equal ones.
    """
    batch, channels, height, width = pixels.shape
    cut = pixels.reshape(
        batch, channels, height // side // merged, merged, side, width // side // merged, merged, side
    ).permute(0, 2, 5, 3, 6, 1, 4, 7)
    return cut.unsqueeze(6).expand(*cut.shape[:6], frames, side, side).reshape(-1, channels * frames * side * side)
