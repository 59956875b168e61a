"""Reads the JSON files of a model, which may come from anybody."""

import json
from pathlib import Path
from typing import Any

from image_retrieval.errors import UserError

MOST_BYTES = 2**24
MOST_BYTES_OF_TOKENIZER = 2**27  # the vocabularies of 250,000 words that exist take a fifth of this


def require_size(path: Path, most: int = MOST_BYTES) -> None:
    """Raise UserError if a file has more bytes than it could need."""
    require_bytes(path.name, path.stat().st_size, most)


def require_bytes(name: str, size: int, most: int = MOST_BYTES) -> None:
    """Raise UserError if that is more bytes than a file of that name could need."""
    if size > most:
        raise UserError(f"{name} has {size:,} bytes: at most {most:,} are read")


def read_json_file(path: Path) -> Any:
    """The value in a JSON file. Raises UserError if it is none, or is too large."""
    require_size(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {' '.join(str(error).split())[:200]}") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises UserError if it is none, or is too large."""
    found = read_json_file(path)
    if not isinstance(found, dict):
        raise UserError(f"{path} is not a mapping")
    return found
