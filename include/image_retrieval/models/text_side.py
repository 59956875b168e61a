"""A text side beside a model of pictures alone: it maps texts into the vector space of the model's pictures.

`text_side.json` states the encoder, `text_side.safetensors` holds its weights and those of a projection. The model's
own files stay as they are, and so do the vectors of pictures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import BertConfig, BertModel

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS
from image_retrieval.models.json_file import read_mapping
from image_retrieval.models.plausible import require_plausible, sizes_of, within
from image_retrieval.models.text_encoder import TextFeatures

ENCODER, POOLING = "bert", "mean"
COUNTS = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


@dataclass(frozen=True, slots=True)
class TextSide:
    """The encoder's config, how many tokens of a text are read, and the length of the vectors."""

    config: dict[str, Any]
    most_tokens: int
    dimensions: int

    @property
    def model_type(self) -> str:
        """The type of the encoder, by which its tokenizer is read."""
        return ENCODER


class TextSideFeatures(torch.nn.Module):
    """Tokenised texts (batch, tokens) to vectors (batch, dimensions): BERT, the mean of its tokens, a projection."""

    def __init__(self, side: TextSide) -> None:
        super().__init__()
        encoder = BertModel(BertConfig(**side.config), add_pooling_layer=False)
        self.encoder = TextFeatures(encoder, POOLING)
        self.projection = torch.nn.Linear(side.config["hidden_size"], side.dimensions, bias=False)

    def forward(self, **tokens: torch.Tensor) -> torch.Tensor:
        read: torch.Tensor = self.encoder(**tokens)
        found: torch.Tensor = self.projection(read.to(self.projection.weight.dtype))
        return found


def describe_text_side(folder: Path, dimensions: int) -> TextSide:
    """Read text_side.json of a model of so many dimensions. Raises UserError if it does not state what is needed."""
    stated = read_mapping(folder / TEXT_SIDE)
    encoder, most = stated.get("encoder"), stated.get("most_tokens")
    if not isinstance(encoder, dict) or encoder.get("model_type") != ENCODER or stated.get("pooling") != POOLING:
        raise UserError(
            f"{TEXT_SIDE} of model {folder} states no encoder of type {ENCODER} with the {POOLING} of tokens"
        )
    config = {name: encoder.get(name) for name in (*COUNTS, "max_position_embeddings")}
    if not all(type(number) is int and number > 0 for number in (*config.values(), most)):
        raise UserError(f"{TEXT_SIDE} of model {folder} needs whole numbers for {', '.join(config)} and most_tokens")
    if stated.get("dimensions") != dimensions:
        raise UserError(
            f"{TEXT_SIDE} of model {folder} is for vectors of {stated.get('dimensions')!r} dimensions: "
            f"those of its pictures have {dimensions}"
        )
    return TextSide(config, min(int(str(most)), int(str(config["max_position_embeddings"]))), dimensions)


def stated(side: TextSide) -> dict[str, Any]:
    """What text_side.json holds."""
    encoder = {"model_type": ENCODER, **side.config}
    return {"encoder": encoder, "pooling": POOLING, "most_tokens": side.most_tokens, "dimensions": side.dimensions}


def load_text_features(folder: Path, side: TextSide, dtype: torch.dtype) -> torch.nn.Module:
    """The network of a folder. Raises UserError where its weights are not complete, or do not fit text_side.json."""
    try:
        sizes = sizes_of([folder / TEXT_WEIGHTS])
        require_plausible(side.config, len(sizes))
        with within(sizes):
            TextSideFeatures(side)
        network = TextSideFeatures(side)
        network.load_state_dict(load_file(folder / TEXT_WEIGHTS), strict=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, UserError) as error:
        message = " ".join(str(error).split())
        raise UserError(f"the text side of model {folder} does not load: {message[:300]}") from None
    return network.eval().to(dtype)
