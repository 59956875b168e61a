"""BLIP: an image encoder, and a BERT that reads it and goes on with the prompt."""

from typing import Any

import torch

from image_retrieval.models.captioners.base import Family, greedy, repeated, room


def family(model: Any, tokenizer: Any, prompt: str | None, most: int) -> Family:
    """How this family writes. Captions begin with the prompt."""
    text = model.config.text_config
    begins = [text.bos_token_id, *(tokenizer(prompt, add_special_tokens=False).input_ids if prompt else ())]
    config = greedy(model.text_decoder, room(most, text, len(begins)))
    config.eos_token_id, config.pad_token_id = text.sep_token_id, text.pad_token_id  # as BLIP's own generate has it

    def generate(pixels: torch.Tensor, _: int | None) -> torch.Tensor:
        given = repeated([*begins, text.sep_token_id], pixels)  # it takes the last one away
        ids: torch.Tensor = model.generate(
            pixel_values=pixels, input_ids=given, attention_mask=torch.ones_like(given), generation_config=config
        )
        return ids

    return Family(generate, lambda _: 1, len(begins) - 1, frozenset([text.sep_token_id]))
