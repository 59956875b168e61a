"""A tokenizer of the words of texts: whole words that are frequent, Chinese characters, and parts of other words."""

import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_WORDS, LEAST_SEEN = 20_000, 2
PARTS = (3, 4)  # letters of parts of words
MOST_PARTS = 4_000


def make_tokenizer(texts: Iterable[str], folder: Path, most_tokens: int) -> BertTokenizer:
    """A tokenizer that knows these texts; writes its vocab.txt. The same texts give the same file."""
    words = Counter(word for text in texts for word in _words(text))
    letters = sorted({letter for word in words for letter in word})
    frequent = [word for word, seen in _most(words, MOST_WORDS) if seen >= LEAST_SEEN]
    parts = Counter(
        part for word, seen in words.items() for length in PARTS for part in _cut(word, length) for _ in range(seen)
    )
    shared = [part for part, seen in _most(parts, MOST_PARTS) if seen >= LEAST_SEEN]
    ways = [*letters, *(f"##{letter}" for letter in letters), *frequent, *shared, *(f"##{part}" for part in shared)]
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *dict.fromkeys(ways))) + "\n", encoding="utf-8")
    return BertTokenizer(str(folder / "vocab.txt"), do_lower_case=True, model_max_length=most_tokens)


def _words(text: str) -> list[str]:
    """The words of a text as BERT's tokenizer cuts it: lower case, without accents, each Chinese character its own."""
    plain = "".join(
        letter for letter in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(letter) != "Mn"
    )
    spaced = (letter if letter.isalnum() and not _is_chinese(letter) else f" {letter} " for letter in plain)
    return "".join(spaced).split()


def _is_chinese(letter: str) -> bool:
    return 0x2E80 <= ord(letter) <= 0x9FFF or 0xF900 <= ord(letter) <= 0xFAFF or ord(letter) >= 0x20000


def _cut(word: str, length: int) -> list[str]:
    return [word[at : at + length] for at in range(len(word) - length + 1)] if len(word) > length else []


def _most(found: Counter[str], most: int) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:most]
