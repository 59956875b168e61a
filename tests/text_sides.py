"""Text sides of random weights, beside models of pictures alone."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS, describe
from image_retrieval.models.text_side import TextSide, TextSideFeatures, stated
from image_retrieval.training.pairs.vocabulary import make_tokenizer

TEXTS = ("a red cat", "一只红色的猫", "a sentence of words that nobody taught it")
COUNTS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def with_text_side(source: Path, folder: Path) -> Path:
    """A copy of a model with a text side."""
    shutil.copytree(source, folder)
    tokenizer = make_tokenizer(TEXTS, folder, 8)
    tokenizer.save_pretrained(folder)
    config = {"vocab_size": len(tokenizer), **COUNTS, "max_position_embeddings": 8}
    side = TextSide(config, 8, describe(source).dimensions)
    torch.manual_seed(0)
    save_file(TextSideFeatures(side).state_dict(), folder / TEXT_WEIGHTS)
    (folder / TEXT_SIDE).write_text(json.dumps(stated(side)))
    return folder
