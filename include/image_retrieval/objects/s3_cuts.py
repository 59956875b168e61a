"""Guesses where the keys behind those that are listed can be cut, so that unknown keys are listed in ranges at once.

Keys are read as numbers whose digits are the characters that occur at each place. What follows is assumed to lie as
close together as what was listed. A wrong guess makes ranges short or long, and loses no key.
"""

import string
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from operator import mul
from os.path import commonprefix

AHEAD = 24  # cuts
MOST_SEEN = 500  # keys that are looked at
BEHIND = 6  # places that count behind what the keys have in common
SHARE = 7 / 8  # of the listed keys between two cuts, with room for those that lie closer together
ALPHABETS = [
    string.digits,
    string.digits + "abcdef",
    string.digits + "ABCDEF",
    string.ascii_lowercase,
    string.ascii_uppercase,
    string.digits + string.ascii_lowercase,
    string.digits + string.ascii_uppercase,
    string.digits + string.ascii_uppercase + string.ascii_lowercase,
]


def guessed_cuts(keys: Sequence[str], upper: str | None) -> list[str]:
    """Texts behind the last of the keys, which are in order, and before `upper`: at most AHEAD, in order."""
    seen = [*keys[:: max(1, len(keys) // MOST_SEEN)], keys[-1]]
    places = len(commonprefix([keys[0], keys[-1]])) + BEHIND  # noqa: RUF071 (by characters)
    digits = [_alphabet({key[place] for key in seen if len(key) > place}) for place in range(places)]
    weights = list(accumulate((len(each) or 1 for each in reversed(digits[1:])), mul, initial=1))[::-1]
    first, last = _number(keys[0], digits, weights), _number(keys[-1], digits, weights)
    step, end = int((last - first) * SHARE), weights[0] * (len(digits[0]) or 1)
    if step <= 0:
        return []
    cuts = [_text(number, digits, weights) for number in range(last + step, min(end, last + step * AHEAD + 1), step)]
    return [cut for cut in cuts if keys[-1] < cut and (upper is None or cut < upper)]


def _alphabet(seen: set[str]) -> str:
    """The characters that may stand at a place, in order."""
    for alphabet in ALPHABETS:
        if seen <= set(alphabet):
            return alphabet
    return "".join(sorted(letter for letter in seen if not "\ud800" <= letter <= "\udfff"))


def _number(key: str, digits: list[str], weights: list[int]) -> int:
    """A key as a number; a character that its place does not have counts as the next greater one."""
    parts = zip(key, digits, weights, strict=False)
    return sum(min(bisect_left(each, letter), max(0, len(each) - 1)) * weight for letter, each, weight in parts)


def _text(number: int, digits: list[str], weights: list[int]) -> str:
    """The text of a number."""
    parts = zip(digits, weights, strict=True)
    return "".join(each[number // weight % len(each)] for each, weight in parts if each)
