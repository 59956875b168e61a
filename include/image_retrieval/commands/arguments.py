"""What the arguments of commands may be: each function reads one, and raises ArgumentTypeError where it cannot."""

import argparse
import re
from collections.abc import Callable
from typing import Any

from image_retrieval.collection import NAME_PATTERN
from image_retrieval.strict_json import NotStrict, read_json
from image_retrieval.values import KNOWN_ID_LETTERS, Region, finite, part_of_picture, plain_text, query_text


def text(given: str) -> str:
    """The value of an argument without another type: text."""
    return _checked(plain_text, given)


def words(given: str) -> str:
    """What a search takes as text."""
    return _checked(query_text, given)


def known_id(given: str) -> str:
    """The id of an image that may be there."""
    if len(given) > KNOWN_ID_LETTERS:
        raise argparse.ArgumentTypeError(f"has {len(given)} characters: no id has more than {KNOWN_ID_LETTERS}")
    return text(given)


def run_id(given: str) -> str:
    """The name of a run."""
    if not 1 <= len(given) <= 250:
        raise argparse.ArgumentTypeError(f"a run's ID has 1 to 250 characters, not {len(given)}")
    return text(given)


def model_name(given: str) -> str:
    """The name of a model."""
    if not re.fullmatch(NAME_PATTERN, given):
        raise argparse.ArgumentTypeError(f"{given[:80]!a} is no name: use a letter, then up to 23 of a-z, 0-9 and _")
    return given


def image(given: str) -> str:
    """A file's path, which may be any bytes, or a URL, which is text."""
    return text(given) if "://" in given and not given.startswith("file://") else given


def _checked(check: Callable[[str], str], given: str) -> str:
    try:
        return check(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{given[:80]!a} {error}") from None


def number(least: int, most: int) -> Callable[[str], int]:
    """A whole number between two, both included."""

    def checked(given: str) -> int:
        if given.isascii() and given.isdigit() and len(given) <= 20 and least <= int(given) <= most:
            return int(given)
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is not a number from {least} to {most}")

    return checked


def finite_number(given: str) -> float:
    """A number that is neither infinite nor NaN."""
    try:
        return finite(float(given))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given[:80]!r} is not a finite number") from None


def region(given: str) -> Region:
    """The part of a picture: left, top, width and height, as shares."""
    try:
        left, top, width, height = map(float, given.split(","))
        return part_of_picture((left, top, width, height))
    except ValueError:
        told = "left,top,width,height of a part of the picture, as shares from 0 to 1, such as 0.5,0,0.5,0.5"
        raise argparse.ArgumentTypeError(f"{given[:80]!a} is not {told}") from None


def json_object(given: str) -> dict[str, Any]:
    """A JSON object that the database can hold."""
    try:
        found = read_json(given)
    except NotStrict as error:
        raise argparse.ArgumentTypeError(f"{given[:200]!r} is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{given[:200]!r} is not a JSON object")
    return found
