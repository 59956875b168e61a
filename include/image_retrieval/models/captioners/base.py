"""What the families of captioners have in common: greedy generation, and normalised pixels."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import CaptionerDescription

# normalised pixels (batch, 3, height, width) and the language's token to ids (batch, tokens)
Generate = Callable[[torch.Tensor, int | None], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Family:
    """How a family writes: `generate`, and how the ids that it returns are read.

    `hidden`: how many ids in front are no part of the answer, for a language's token. `prefix`: how many after them
    were given, and begin the answer. `ends`: the ids that end it. `together`: it is JSON with all languages.
    """

    generate: Generate
    hidden: Callable[[int | None], int]
    prefix: int
    ends: frozenset[int]
    together: bool = False


def room(most: int, config: Any, begun: int) -> int:
    """How many tokens, up to `most`, a decoder can write behind `begun` ones: it has a vector for so many positions.

    On a GPU, a position behind the last one would end the whole process. Raises UserError if there is no room.
    """
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int):
        return most
    if begun > positions:
        raise UserError(f"the prompt leaves no room for a caption: it has {begun} tokens, the model reads {positions}")
    return min(most, positions + 1 - begun)  # the last one is not read


def greedy(model: Any, most: int, **ids: int | None) -> GenerationConfig:
    """The model's own generation config for greedy decoding of up to `most` new tokens.

    `ids`: special tokens that are used if the config has none.
    """
    found: GenerationConfig = deepcopy(model.generation_config)
    found.max_length, found.min_length, found.min_new_tokens = None, None, None
    found.max_new_tokens, found.do_sample, found.num_beams, found.early_stopping = most, False, 1, None
    found.forced_eos_token_id = None  # else a caption that is cut off would seem to end
    found.temperature = found.top_k = found.top_p = found.length_penalty = None
    for name, value in ids.items():
        if getattr(found, name) is None:
            setattr(found, name, value)
    if found.pad_token_id is None:
        found.pad_token_id = min(ends_of(found), default=None)
    model.generation_config = found  # else what is None here would be taken from there
    return found


def ends_of(config: GenerationConfig) -> frozenset[int]:
    """The ids that end a text."""
    given = config.eos_token_id
    return frozenset([given] if isinstance(given, int) else given or ())


def repeated(ids: Sequence[int], pixels: torch.Tensor) -> torch.Tensor:
    """The same ids for each picture of a batch: (batch, ids), on the pictures' device."""
    return torch.tensor([list(ids)], device=pixels.device).expand(len(pixels), -1).contiguous()


class Pixels(torch.nn.Module):
    """uint8 pixels (batch, height, width, 3) to normalised ones (batch, 3, height, width) in the model's dtype."""

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, description: CaptionerDescription, dtype: torch.dtype) -> None:
        super().__init__()
        mean, std = torch.tensor(description.mean).view(1, -1, 1, 1), torch.tensor(description.std).view(1, -1, 1, 1)
        self.register_buffer("scale", description.scale / std)
        self.register_buffer("shift", -mean / std)
        self.dtype = dtype

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift).to(self.dtype)
