"""What a file beside a picture says of it: `cat.txt` is a caption, `cat.json` has a caption and attributes."""

import json
from typing import Any

from image_retrieval.sources.members import attributes_text, caption_of
from image_retrieval.strict_json import NotStrict, read_json

SUFFIXES = (".json", ".txt")
LARGEST = 2**20  # bytes


def of_text(data: bytes) -> dict[str, Any]:
    """The caption that a text file is. Raises ValueError that says what is wrong, after the file's name."""
    return _with_caption(_decoded(data).strip())


def of_json(data: bytes) -> dict[str, Any]:
    """The caption and the attributes of a JSON object. Raises ValueError and RecursionError as `of_text`."""
    try:
        told = read_json(_decoded(data))
    except NotStrict as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(told, dict):
        raise ValueError("is not a JSON object")
    attributes = attributes_text(told.get("attributes") or {})
    return _with_caption(told.get("caption")) | ({"attributes": json.loads(attributes)} if attributes else {})


def _with_caption(given: Any) -> dict[str, Any]:
    caption = caption_of(given)
    return {} if caption is None else {"caption": caption}


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
