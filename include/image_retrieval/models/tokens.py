"""Texts to token ids, by a model's own tokenizer, padded and cut as its family was trained."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from transformers import AutoTokenizer

from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription

Tokens = Callable[[Sequence[str]], dict[str, torch.Tensor]]
DEFAULT_LENGTHS = {"clip": 77, "siglip": 64, "siglip2": 64, "chinese_clip": 512}  # of transformers' configurations


def load_tokens(folder: Path, model: ModelDescription) -> Tokens:
    """A function from texts to what the model's text side takes. Raises UserError where there is no tokenizer."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError, ImportError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"model {folder} has no tokenizer that loads ({first[:200]}): copy its tokenizer files, such as "
            "tokenizer.json and tokenizer_config.json, beside its weights"
        ) from None
    text = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("text_config") or {}
    length = int(text.get("max_position_embeddings") or DEFAULT_LENGTHS[model.model_type])
    if not model.model_type.startswith("siglip"):

        def longest(texts: Sequence[str]) -> dict[str, torch.Tensor]:
            given = tokenizer(list(texts), padding="longest", truncation=True, max_length=length, return_tensors="pt")
            return dict(given)

        return longest

    def to_the_end(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        # as SigLIP and SigLIP 2 were trained: in lower case, padded on the right, and no padding masked
        given = tokenizer(
            [text.lower() for text in texts],
            padding="max_length",
            padding_side="right",
            truncation=True,
            max_length=length,
            return_tensors="pt",
        )
        return {"input_ids": given["input_ids"]}

    return to_the_end
