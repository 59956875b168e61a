"""Florence-2: a BART that reads the picture's tokens and a question."""

from typing import Any

import torch

from image_retrieval.models.captioners.base import Family, ends_of, greedy, repeated, room

QUESTION = "What does the image describe?"  # of its task <CAPTION>


def family(model: Any, tokenizer: Any, prompt: str | None, most: int, pixels: torch.Tensor) -> Family:
    """How this family writes. `pixels`: any picture (1, 3, height, width), to count the tokens that it becomes."""
    text = model.config.text_config
    config = greedy(model, room(most, text, 1), eos_token_id=text.eos_token_id, bos_token_id=text.bos_token_id)
    if config.decoder_start_token_id is None:
        config.decoder_start_token_id = text.decoder_start_token_id
    with torch.inference_mode():
        pictures = model.get_image_features(pixels).pooler_output.shape[1]
    words = tokenizer(prompt or QUESTION, add_special_tokens=False).input_ids
    asked = [*[model.config.image_token_id] * pictures, text.bos_token_id, *words, text.eos_token_id]

    def generate(pixels: torch.Tensor, _: int | None) -> torch.Tensor:
        given = repeated(asked, pixels)
        ids: torch.Tensor = model.generate(
            pixel_values=pixels, input_ids=given, attention_mask=torch.ones_like(given), generation_config=config
        )
        return ids

    return Family(generate, lambda _: 1, 0, ends_of(config))
