"""What a model's card, its README.md, says before the text: licence and languages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MOST_LETTERS = 2**14  # of what is read for the part before the text


@dataclass(frozen=True, slots=True)
class Card:
    """Licence and languages as the card states them; empty where it does not."""

    licence: str = ""
    languages: tuple[str, ...] = ()


def read_card(folder: Path) -> Card:
    """The card of a folder. What cannot be read counts as not stated."""
    path = folder / "README.md"
    if not path.is_file():
        return Card()
    with path.open(encoding="utf-8", errors="replace") as file:
        head, *rest = file.read(MOST_LETTERS).split("---\n", 2)
    try:
        stated = yaml.safe_load(rest[0]) if len(rest) == 2 and not head.strip() else None
    except (yaml.YAMLError, ValueError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        return Card()
    licence = stated.get("license_name") if stated.get("license") == "other" else stated.get("license")
    return Card(", ".join(_words(licence)), tuple(_words(stated.get("language"))))


def _words(stated: Any) -> list[str]:
    listed = stated if isinstance(stated, list) else [stated]
    return [str(word)[:40] for word in listed if isinstance(word, str | int)][:200]
