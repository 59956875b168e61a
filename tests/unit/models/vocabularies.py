"""A tiny tokenizer of each kind that dual encoders have."""

import io
import string
from collections.abc import Callable
from pathlib import Path

import sentencepiece
import transformers

# as the converters of both SigLIPs save their tokenizers: the original reads the padding, too
NO_MASK = {"model_input_names": ["input_ids"]}
SENTENCES = ["a red shoe", "two cats on a mat", "the quick brown fox", "pack my box with five dozen jugs"]


def clip(folder: Path) -> None:
    letters = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = ["<pad>", "<|startoftext|>", "<|endoftext|>", *letters]
    merges = [("a", "t</w>"), ("c", "at</w>")]
    vocabulary += ["at</w>", "cat</w>"]
    vocab = {token: number for number, token in enumerate(vocabulary)}
    transformers.CLIPTokenizer(vocab=vocab, merges=merges).save_pretrained(folder)


def chinese_clip(folder: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"一只红色的猫鞋", "cat", "shoe", "##s"]
    vocab = {token: number for number, token in enumerate(vocabulary)}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)


def siglip(folder: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=32,
        unk_id=0,
        eos_id=1,
        pad_id=-1,
        bos_id=-1,
        minloglevel=2,
    )
    file = folder / "own.model"
    file.write_bytes(model.getvalue())
    transformers.SiglipTokenizer(str(file), model_max_length=16, **NO_MASK).save_pretrained(folder)
    file.unlink()


def siglip2(folder: Path) -> None:
    letters = ["▁", *string.ascii_lowercase]
    vocab = {token: number for number, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters])}
    transformers.Siglip2Tokenizer(vocab=vocab, merges=[], padding_side="right", **NO_MASK).save_pretrained(folder)


def gemma(folder: Path) -> None:
    """What SigLIP 2 of fixed resolution has, whose model is a SigLIP."""
    letters = ["▁", *string.ascii_letters]
    vocab = {token: number for number, token in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *letters])}
    transformers.GemmaTokenizer(vocab=vocab, merges=[], padding_side="right", **NO_MASK).save_pretrained(folder)


VOCABULARIES: dict[str, Callable[[Path], None]] = {
    "clip": clip,
    "chinese_clip": chinese_clip,
    "siglip": siglip,
    "siglip2": siglip2,
}
