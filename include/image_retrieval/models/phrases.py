"""Everyday phrases in English and Chinese, which the scores of searches by texts are fitted with (phrases.json)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one language.

    `about_nothing`: what no picture shows. `things`: what pictures often show, in English one and several (`dog`,
    `dogs`), in Chinese the measure word and the noun. `looks` and `counts` go before a thing.
    """

    about_nothing: tuple[str, ...]
    things: tuple[tuple[str, str], ...]
    looks: tuple[str, ...]
    counts: tuple[str, ...]


@cache
def _content() -> tuple[int, dict[str, Phrases]]:
    found = json.loads(files("image_retrieval.models").joinpath("phrases.json").read_text(encoding="utf-8"))
    version = found.pop("version")
    return version, {
        language: Phrases(
            tuple(lists["about_nothing"]),
            tuple((first, second) for first, second in lists["things"]),
            tuple(lists["looks"]),
            tuple(lists["counts"]),
        )
        for language, lists in found.items()
    }


def phrases_version() -> int:
    """The version of the lists: scores that another one fitted are fitted again."""
    return _content()[0]


def phrases_of(language: str) -> Phrases:
    """The phrases of a language, `en` or `zh`."""
    return _content()[1][language]


def naming(language: str) -> list[str]:
    """A phrase for each of the things: `a dog`, `一只狗`."""
    things = phrases_of(language).things
    if language == "zh":
        return [f"一{measure}{noun}" for measure, noun in things]
    return [f"{'an' if one[0] in 'aeiou' else 'a'} {one}" for one, _ in things]


def describing(language: str, things: Sequence[int]) -> list[str]:
    """Phrases for some of the things, by number, with each count and look: `two red dogs`, `两只红色狗`."""
    phrases = phrases_of(language)
    chosen = [phrases.things[number] for number in things]
    made = [(count, look, thing) for thing in chosen for look in phrases.looks for count in phrases.counts]
    if language == "zh":
        return [f"{count}{measure}{look}{noun}" for count, look, (measure, noun) in made]
    first = phrases.counts[0]
    return [f"{count} {look} {one if count == first else several}" for count, look, (one, several) in made]
