"""GIT: one decoder that reads the picture's tokens before those of the text."""

from typing import Any

import torch

from image_retrieval.models.captioners.base import Family, ends_of, greedy, repeated, room


def family(model: Any, tokenizer: Any, prompt: str | None, most: int) -> Family:
    """How this family writes. Captions begin with the prompt."""
    words = tokenizer(prompt, add_special_tokens=False).input_ids if prompt else ()
    most = room(most, model.config, 1 + len(words))
    config = greedy(model, most, eos_token_id=model.config.eos_token_id, bos_token_id=model.config.bos_token_id)
    begins = [config.bos_token_id, *words]

    def generate(pixels: torch.Tensor, _: int | None) -> torch.Tensor:
        given = repeated(begins, pixels)
        ids: torch.Tensor = model.generate(
            pixel_values=pixels, input_ids=given, attention_mask=torch.ones_like(given), generation_config=config
        )
        return ids

    return Family(generate, lambda _: 1, len(begins) - 1, ends_of(config))
