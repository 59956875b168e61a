"""Text embedding models of random weights, a few kilobytes each, as `models add` leaves them."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from image_retrieval.models.probes import Probes, make_text_probes
from image_retrieval.models.text_encoder import KEY

SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
HOW = {"pooling": "mean", "cut_at": 32, "lower_case": True, "query": "", "passage": ""}


def save_text_encoder(folder: Path, words: Sequence[str], *, seed: int = 0, width: int = 16) -> Path:
    """Write an encoder that tells these words apart."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(SPECIAL) + len(words), hidden_size=width, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=32,
        )  # fmt: skip
        model = BertModel(config, add_pooling_layer=False)
        torch.nn.init.normal_(model.embeddings.word_embeddings.weight, std=1.0)
    model.save_pretrained(folder)
    BertTokenizer(vocab={word: number for number, word in enumerate((*SPECIAL, *words))}).save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {KEY: HOW}))
    return folder


@cache
def probes_of(folder: Path) -> Probes:
    """What an encoder makes of phrases."""
    from image_retrieval.models.towers import load_text_tower

    tower = load_text_tower(folder, dtype="float32", device="cpu")
    return make_text_probes(tower.digest, lambda texts: tower.embed(texts).numpy())
