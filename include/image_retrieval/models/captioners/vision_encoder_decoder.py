"""VisionEncoderDecoder: any image encoder and any text decoder, such as vit-gpt2 and the shipped captioner."""

from typing import Any

import torch

from image_retrieval.models.captioners.base import Family, ends_of, greedy, repeated, room


def family(model: Any, most: int) -> Family:
    """How this family writes. A language's token follows the decoder's first one, as in mBART."""
    decoder = model.config.decoder
    start = model.generation_config.decoder_start_token_id
    start = decoder.bos_token_id if start is None else start
    config = greedy(model, room(most, decoder, 2), eos_token_id=decoder.eos_token_id, bos_token_id=decoder.bos_token_id)
    config.decoder_start_token_id = start

    def generate(pixels: torch.Tensor, language: int | None) -> torch.Tensor:
        begins = [start] if language is None else [start, language]
        ids: torch.Tensor = model.generate(
            pixel_values=pixels, decoder_input_ids=repeated(begins, pixels), generation_config=config
        )
        return ids

    return Family(generate, lambda language: 1 if language is None else 2, 0, ends_of(config))
