"""Okapi BM25 over a few thousand texts in memory (Robertson and Zaragoza 2009), for words and Chinese characters."""

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

K, B = 1.2, 0.75
PIECES = re.compile(r"[a-z0-9]+|[\u3400-\u9fff]+")


def words_of(text: str) -> list[str]:
    """Its English words without the ending of a plural, and its Chinese characters, alone and in pairs."""
    found: list[str] = []
    for piece in PIECES.findall(text.lower()):
        if piece.isascii():
            found.append(re.sub(r"(?<=ss)es$|(?<=[^s])s$", "", piece))
        else:
            found += [*piece, *(piece[at : at + 2] for at in range(len(piece) - 1))]
    return found


class Bm25:
    """Texts as lists of words; scores are by word, in the order of the texts."""

    def __init__(self, texts: list[list[str]]) -> None:
        self._known = {word: at for at, word in enumerate(sorted({word for text in texts for word in text}))}
        self._counts = np.zeros((len(texts), len(self._known)))
        for row, text in enumerate(texts):
            for word, count in Counter(text).items():
                self._counts[row, self._known[word]] = count
        lengths = self._counts.sum(axis=1, keepdims=True)
        holding = (self._counts > 0).sum(axis=0)
        rarity = np.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        long = K * (1 - B + B * lengths / max(lengths.mean(), 1e-9))
        self._weights = rarity * self._counts * (K + 1) / (self._counts + long)

    def scores(self, words: list[str]) -> NDArray[np.float64]:
        """The score of each text; words that no text holds count nothing."""
        columns = [self._known[word] for word in words if word in self._known]
        found: NDArray[np.float64] = self._weights[:, columns].sum(axis=1)
        return found

    def holding(self, words: list[str]) -> NDArray[np.bool_]:
        """Which texts hold all of these words."""
        if not words or any(word not in self._known for word in words):
            return np.zeros(len(self._counts), np.bool_)
        held = self._counts[:, [self._known[word] for word in words]] > 0
        found: NDArray[np.bool_] = np.all(held, axis=1)
        return found
