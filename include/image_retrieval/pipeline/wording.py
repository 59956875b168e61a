"""What hybrid searches ask of texts: what a model reads of them, and the words that captions are searched for."""

import re
from collections.abc import Sequence

# minus signs at the beginning of words, each with its word or phrase; as retrieval.asked_text
SPACE = r"\u0009-\u0020\u00a0\u2000-\u200a\u202f\u205f\u3000"
QUOTES = r"\"\u00ab\u00bb\u201c-\u201f\uff02"  # which retrieval.folded makes one
QUOTE = re.compile(f"[{QUOTES}]")
MINUS = re.compile(
    rf"(?:^|[{SPACE}]+)"
    rf"(?:[-\ufe63\uff0d](?:[{QUOTES}][^{QUOTES}]*(?:[{QUOTES}]|\Z)|[^{SPACE}{QUOTES}]+(?![^{SPACE}{QUOTES}]))[{SPACE}]*)+"
)
SPACES = "\t\n\r \u3000"


def asked_text(text: str) -> str:
    """A text without its minus terms, which a model would read as if they were wanted; it may be empty."""
    return MINUS.sub(" ", text).strip(SPACES)


def asked_words(texts: Sequence[tuple[str, float]]) -> str | None:
    """The words of texts with weights, for captions: texts with a negative weight must not occur. None for no text."""
    parts = [_closed(text) if weight > 0 else f'-"{QUOTE.sub(" ", text)}"' for text, weight in texts if weight]
    return " ".join(parts) or None


def _closed(text: str) -> str:
    return text + '"' * (len(QUOTE.findall(text)) % 2)
