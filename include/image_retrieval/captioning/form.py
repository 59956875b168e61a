"""The JSON form of answers that have captions in several languages: how it is asked for, and how it is read."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from image_retrieval.caption_options import CaptionEndpoint, CaptionOptions
from image_retrieval.captioning.answers import SHOWN, Answer, Fault, answer_of, cleaned
from image_retrieval.strict_json import NotStrict, read_json

DIGITS = 32  # of a digest that are kept


def endpoint_digest(endpoint: CaptionEndpoint, options: CaptionOptions) -> str:
    """32 hexadecimal digits over what determines an endpoint's captions, as far as that can be known."""
    made_of = (endpoint.url, endpoint.model, endpoint.side, options.prompt, options.max_new_tokens)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:DIGITS]


def form(languages: Sequence[str]) -> dict[str, Any]:
    """The form as `response_format`, for servers that can hold a model to one."""
    wanted = {language: {"type": "string"} for language in languages}
    schema = {"type": "object", "properties": wanted, "required": list(languages), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "captions", "strict": True, "schema": schema}}


def read_answer(answer: Any, languages: Sequence[str], most: int) -> list[Answer]:
    """An answer per language, from what a server returned for one picture; `most`: its limit of tokens."""
    try:
        choice = answer["choices"][0]
        content = choice["message"]["content"]
        ended = choice.get("finish_reason") != "length"
    except (TypeError, LookupError, AttributeError):
        return _none(languages, Fault.NONSENSE, f"no answer of a chat: {json.dumps(answer)[:SHOWN]}")
    if not isinstance(content, str):
        return _none(languages, Fault.NONSENSE, f"no text: {json.dumps(content)[:SHOWN]}")
    return read_text(content, languages, most, ended=ended)


def read_text(content: str, languages: Sequence[str], most: int, *, ended: bool) -> list[Answer]:
    """An answer per language, from a text in the form; `ended`: by itself, within `most` tokens."""
    if not content.strip():
        return _none(languages, Fault.EMPTY, "")
    if not ended:
        return _none(languages, Fault.NO_END, f"no end within {most} tokens: {cleaned(content)[:SHOWN]}")
    try:
        found = read_json(content[content.index("{") : content.rindex("}") + 1])  # some put it between fences
    except (NotStrict, ValueError):
        return _none(languages, Fault.NONSENSE, f"not the form that was asked for: {cleaned(content)[:SHOWN]}")
    return [_of_language(found, language, most) for language in languages]


def _of_language(found: dict[str, Any], language: str, most: int) -> Answer:
    text = found.get(language)
    if not isinstance(text, str):
        return Answer(reason=Fault.NONSENSE, detail=f"nothing in {language}: {cleaned(json.dumps(found))[:SHOWN]}")
    return answer_of(text, ended=True, tokens=most)


def _none(languages: Sequence[str], reason: Fault, detail: str) -> list[Answer]:
    return [Answer(reason=reason, detail=cleaned(detail))] * len(languages)


def tokens_of(answer: Any, most: int) -> int:
    """The tokens that an answer cost, as the server counts them; `most` where it does not, or counts less than one."""
    try:
        count = answer["usage"]["total_tokens"]
    except (TypeError, LookupError):
        return most
    return count if isinstance(count, int) and count > 0 else most
