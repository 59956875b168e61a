"""Turns texts into token ids with a model's own tokenizer, padded and cut as in its family's training."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from image_retrieval.errors import UserError
from image_retrieval.models.description import read_config
from image_retrieval.models.json_file import MOST_BYTES_OF_TOKENIZER, require_size

Tokens = Callable[[Sequence[str]], dict[str, torch.Tensor]]
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model")
# positions of the text side if config.json leaves them out: the defaults of transformers
LENGTHS = {"clip": 77, "chinese_clip": 512, "siglip": 64, "siglip2": 64}


def load_tokenizer(folder: Path) -> Any:
    """A model's own tokenizer, of transformers. Raises UserError if there is none."""
    if not any((folder / name).is_file() for name in VOCABULARIES):  # transformers would use an empty vocabulary
        raise UserError(
            f"model {folder} has no tokenizer: put its {', '.join(VOCABULARIES[:-1])} or {VOCABULARIES[-1]}, "
            "and its tokenizer_config.json, beside its weights"
        )
    for name in VOCABULARIES:
        if (folder / name).is_file():
            require_size(folder / name, MOST_BYTES_OF_TOKENIZER)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
    except Exception as error:  # each kind of tokenizer has errors of its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the tokenizer of model {folder} cannot be loaded: {first[:300]}") from None
    if not set(tokenizer.get_vocab().values()) - set(tokenizer.all_special_ids):
        raise UserError(f"the tokenizer of model {folder} knows no word: its files are of another kind of tokenizer")
    return tokenizer


def load_tokens(folder: Path, model_type: str, *, most: int | None = None, lower_case: bool = False) -> Tokens:
    """A function from texts to the input of the model's text side. Texts are cut to `most` tokens; None: as config.json
    states. Raises UserError if there is no tokenizer.
    """
    tokenizer = load_tokenizer(folder)
    text = read_config(folder).get("text_config")
    stated = text.get("max_position_embeddings") if isinstance(text, dict) else None
    length = most or (stated if isinstance(stated, int) and stated > 0 else LENGTHS[model_type])

    def longest(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        given = [text.lower() for text in texts] if lower_case else list(texts)
        return dict(tokenizer(given, padding=True, truncation=True, max_length=length, return_tensors="pt"))

    def to_full_length(texts: Sequence[str]) -> dict[str, torch.Tensor]:
        # as in SigLIP's training: lower case, padded on the right to the full length, with padding not masked
        lower = [text.lower() for text in texts]
        options = {"padding": "max_length", "padding_side": "right", "truncation": True, "max_length": length}
        return {"input_ids": tokenizer(lower, **options, return_tensors="pt")["input_ids"]}

    return to_full_length if model_type.startswith("siglip") else longest
