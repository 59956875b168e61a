"""What a model that follows instructions is asked: for captions in all languages, in one answer of a stated form."""

import json
from collections.abc import Sequence

PROMPT = "Describe what the picture shows in one short sentence: the things in it, their number, and where they are."
SPARE = 30  # tokens of the form around the captions


def question(prompt: str | None, languages: Sequence[str]) -> str:
    """The text beside the picture."""
    example = json.dumps(dict.fromkeys(languages, "…"), ensure_ascii=False)
    named = ", ".join(languages)
    return f"{prompt or PROMPT}\nAnswer with a JSON object {example} in the languages {named}, and with nothing else."


def begun(languages: Sequence[str]) -> str:
    """What each such answer begins with: up to the first word of the caption in the first language."""
    return json.dumps({languages[0]: ""})[:-2]


def most_tokens(most: int, languages: Sequence[str]) -> int:
    """The tokens of an answer whose captions have at most `most` each."""
    return most * len(languages) + SPARE
