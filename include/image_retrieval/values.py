"""Checks values from users, in the same way for the command line, the API and the older protocol.

The functions return the value, or raise ValueError with a message that continues after the value's name.
"""

import json
import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from image_retrieval.strict_json import is_text

MOST_LETTERS = 1000  # characters of a query text; models read far fewer
MOST_RESULTS = 1_000_000  # of one search at the command line
NEW_ID_BYTES = 500
MOST_JSON_BYTES = 2**16  # of an image's attributes; a page of 500 is then 32 MiB
KNOWN_ID_LETTERS = 10_000  # more than any key or path has
ROUNDING = 1e-6  # by which the shares of a picture may pass its edge
SHOWN = "\u3000\xa0\u200c\u200d"  # wide and fixed spaces, and joiners of letters and emoji
# invisible characters: spaces, controls, formats, fillers, variation selectors; SQL has the same
BLANK = re.compile(
    "[\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f"
    "\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*"
)


def plain_text(value: str) -> str:
    """A text that UTF-8 and PostgreSQL can hold."""
    if not is_text(value):
        raise ValueError("holds NUL characters, lone surrogates, or bytes that are not UTF-8")
    return value


def unless_blank(value: str | None) -> str | None:
    """A text, or None if it has no visible character."""
    return None if value is None or BLANK.fullmatch(value) else value


def query_text(value: str) -> str:
    """A query text: it has a visible character, and at most MOST_LETTERS."""
    plain_text(value)
    if len(value) > MOST_LETTERS:
        raise ValueError(f"has {len(value)} characters: at most {MOST_LETTERS} are allowed")
    if BLANK.fullmatch(value):
        raise ValueError("is blank")
    return value


def new_image_id(value: str) -> str:
    """An id for a picture that comes through the API: a key under the collection's source.

    Ids that a listing derived from a bucket may have other forms, and can still be found.
    """
    parts = plain_text(value).split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\x00-\x1f\x7f\\]", value):
        raise ValueError("is a key such as shoes/red_1: no empty, . or .. part, no backslash, no control character")
    if len(value.encode()) > NEW_ID_BYTES:
        raise ValueError(f"has more than {NEW_ID_BYTES} bytes")
    return value


def finite(value: float) -> float:
    """A number that is neither NaN nor infinite."""
    if not math.isfinite(value):
        raise ValueError("is not a finite number")
    return value


def small_json(value: dict[str, Any]) -> dict[str, Any]:
    """An object of at most MOST_JSON_BYTES in PostgreSQL's notation."""
    size = len(json.dumps(value, ensure_ascii=False).encode())
    if size > MOST_JSON_BYTES:
        raise ValueError(f"has {size} bytes as JSON: at most {MOST_JSON_BYTES} are allowed")
    return value


def part_of_picture(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Left, top, width and height of a part of an upright picture, as shares of its width and height."""
    left, top, width, height = value
    inside = left >= 0 and top >= 0 and left + width <= 1 + ROUNDING and top + height <= 1 + ROUNDING
    if not (inside and width > 0 and height > 0):  # NaN is refused, too
        raise ValueError("is left, top, width, height of a part of the picture, as shares from 0 to 1")
    return value


def printable(text: str) -> str:
    """A text on one line; characters that are not printable become escapes, so it cannot control a terminal."""
    return "".join(letter if letter.isprintable() or letter in SHOWN else ascii(letter)[1:-1] for letter in text)


Text = Annotated[str, AfterValidator(plain_text)]
Word = Annotated[str, Field(max_length=500), AfterValidator(plain_text)]
GroupWord = Annotated[Word | None, AfterValidator(lambda given: given or None)]  # as in an index file
Caption = Annotated[
    Annotated[str, Field(max_length=5000), AfterValidator(plain_text)] | None, AfterValidator(unless_blank)
]
QueryText = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS), AfterValidator(query_text)]
NewImageId = Annotated[str, Field(min_length=1, max_length=NEW_ID_BYTES), AfterValidator(new_image_id)]
KnownId = Annotated[str, Field(max_length=KNOWN_ID_LETTERS), AfterValidator(plain_text)]
Weight = Annotated[float, Field(ge=-10, le=10), AfterValidator(finite)]
Score = Annotated[float, Field(ge=-1, le=1), AfterValidator(finite)]
Region = Annotated[tuple[float, float, float, float], AfterValidator(part_of_picture)]
Filter = Annotated[dict[str, Any], Field(max_length=50, description="as in images.search: docs/sql.md")]
