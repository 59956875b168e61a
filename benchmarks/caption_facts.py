"""What captions of drawn scenes say, read back as facts: one sentence of things, their place, and the ground."""

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from image_retrieval.scenes.captions import (
    BESIDE,
    CHINESE,
    CHINESE_BESIDE,
    CHINESE_NUMBERS,
    NUMBERS,
    PLAIN,
    PLURALS,
    Claim,
    Kind,
)
from image_retrieval.scenes.layout import GROUNDS, HUES, SHAPES, SIZES, TEXTURES, Layout
from image_retrieval.training.facts import OF_KIND, TURNED, Facts, facts_claimed, facts_of

ASPECTS = ("shape", "colour", "texture", "size", "count", "place", "ground")
PLACE, GROUND = 10, 11  # columns of the facts; those before are the kinds of the first and of the second things
Words = dict[str, str]


def _ways(words: Mapping[str, Iterable[str]]) -> Words:
    return {way: name for name, ways in words.items() for way in ways}


ENGLISH = {
    "shape": _ways({shape: (shape, plural) for shape, plural in PLURALS.items()}),
    "hue": {hue: hue for hue in HUES},
    "texture": _ways(PLAIN),
    "size": {size: size for size in SIZES},
}
CHINESE_KINDS = {
    name: {CHINESE[fact]: fact for fact in facts}
    for name, facts in {"shape": SHAPES, "hue": HUES, "texture": TEXTURES, "size": tuple(SIZES)}.items()
}


def read_caption(text: str, language: str) -> Claim:
    """What a caption in `en` or `zh` says; what it does not say, or says twice over, is None."""
    return _read_english(text) if language == "en" else _read_chinese(text)


def right(claims: list[Claim], layouts: list[Layout]) -> NDArray[np.bool_]:
    """Which of ASPECTS each claim (row) tells of its scene as it is, for all things there and no others.

    The things may be told in either order, where the place is told the other way round.
    """
    claimed = np.array([facts_claimed(claim) for claim in claims])
    shown = np.array([facts_of(layout) for layout in layouts])
    turned = np.concatenate([claimed[:, 5:10], claimed[:, :5], TURNED[claimed[:, 10:11]], claimed[:, 11:]], axis=1)
    either = np.stack([_equal(claimed, shown), _equal(turned, shown)])
    best = either.sum(axis=2).argmax(axis=0)
    chosen: NDArray[np.bool_] = either[best, np.arange(len(claims))]
    return chosen


def _equal(claimed: Facts, shown: Facts) -> NDArray[np.bool_]:
    equal = claimed == shown
    kinds = [equal[:, at] & equal[:, at + len(OF_KIND)] for at in range(len(OF_KIND))]
    return np.stack([*kinds, equal[:, PLACE], equal[:, GROUND]], axis=1)


def _read_english(text: str) -> Claim:
    things, _, behind = text.partition(" on a ")
    grounds = {ground for ground in GROUNDS if behind == f"{ground} background"}
    places = {way: place for way, place in _ways(BESIDE).items() if f" {way} " in things}
    way = max(places, key=len, default="")
    parts = things.split(f" {way} ") if way else [things]
    kinds = [_kind(set(part.split()), ENGLISH, _numbers(part.split(), NUMBERS)) for part in parts]
    return _claim(kinds, places.get(way), _only(grounds))


def _read_chinese(text: str) -> Claim:
    things, _, behind = text.partition("，")
    grounds = {ground for ground in GROUNDS if behind == f"{CHINESE[ground]}背景"}
    first, _, rest = things.partition("在")
    places = {place for way, place in _ways(CHINESE_BESIDE).items() if rest.endswith(way)}
    kinds = []
    for part in filter(None, (first, rest)):
        found = {word for words in CHINESE_KINDS.values() for word in words if word in part}
        number = re.match(r"(\w)个", part)
        kinds.append(_kind(found, CHINESE_KINDS, _numbers(number.groups() if number else (), CHINESE_NUMBERS)))
    return _claim(kinds, _only(places), _only(grounds))


def _numbers(words: Iterable[str], known: Mapping[int, Iterable[str]]) -> set[int]:
    articles = {"an": 1}
    return {number for word in words for number, ways in known.items() if word in ways or articles.get(word) == number}


def _kind(said: set[str], known: Mapping[str, Words], counts: set[int]) -> Kind:
    facts = {name: _only({fact for word, fact in words.items() if word in said}) for name, words in known.items()}
    return Kind(count=counts.pop() if len(counts) == 1 else None, **facts)


def _claim(kinds: list[Kind], place: str | None, ground: str | None) -> Claim:
    if len(kinds) not in (1, 2):
        return Claim(Kind(), ground=ground)
    return Claim(kinds[0], kinds[1] if len(kinds) == 2 else None, place, ground)


def _only(found: set[str]) -> str | None:
    return found.pop() if len(found) == 1 else None
