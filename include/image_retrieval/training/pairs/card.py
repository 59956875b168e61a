"""The card of a model that was trained on pairs: README.md, with its languages and figures."""

from pathlib import Path
from typing import Any

import yaml

from image_retrieval.models.card import read_card
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.recall import AT

WAYS = {"text_to_image": "texts find pictures", "image_to_text": "pictures find texts"}


def text_side_card(options: PairOptions, start: Path, figures: dict[str, Any]) -> str:
    """The card of a model that got a text side."""
    held_out, learnt = figures["held_out"], figures["learnt"]
    lines = [
        *_head(start, list(figures["among_all"])),
        "# A text side for a model of pictures",
        "",
        f"The pictures' side is {options.start}, unchanged: vectors of pictures stay as they are. The text side was "
        f"trained on {learnt:,} pictures and their texts.",
        "",
        f"Of {held_out:,} pictures that were held out, with their texts, among all {learnt + held_out:,}; in brackets "
        "what chance would find:",
        "",
        *recall_table(figures["among_all"]),
    ]
    return "\n".join(lines) + "\n"


def fine_tuned_card(options: PairOptions, start: Path, figures: dict[str, Any]) -> str:
    """The card of a dual encoder that was fine-tuned."""
    after = figures["after"]
    lines = [
        *_head(start, list(after["held_out"])),
        "# A fine-tuned dual encoder",
        "",
        f"{options.start}, fine-tuned on {figures['learnt']:,} pictures with {figures['texts']:,} distinct texts"
        f"{' (its text side alone)' if options.text_only else ''}; the mean of the weights before and after has "
        f"α = {figures['alpha']:g}. {figures['reason'][0].upper()}{figures['reason'][1:]}.",
        "",
    ]
    titles = {"held_out": f"Of {figures['held_out']:,} pictures that were held out", "general": "Of the general set"}
    for name, title in titles.items():
        for when in ("before", "after"):
            if name in figures[when]:
                lines += [f"{title}, {when}; in brackets what chance would find:", ""]
                lines += [*recall_table(figures[when][name]), ""]
    return "\n".join(lines)


def _head(start: Path, languages: list[str]) -> list[str]:
    """The part before the text; the licence is that of the start."""
    stated: dict[str, Any] = {"language": languages}
    if licence := read_card(start).licence:
        stated |= {"license": licence}
    return ["---", yaml.safe_dump(stated, allow_unicode=True).strip(), "---", ""]


def recall_table(found: dict[str, Any]) -> list[str]:
    """Recall per language and direction, as a table of Markdown."""
    names = [f"R@{k}" for k in AT]
    rows = [
        (language, WAYS[way], *(f"{own['found'][name]:.1%} ({own['chance'][name]:.1%})" for name in names))
        for language, ways in found.items()
        for way, own in ways.items()
    ]
    head = ("language", "", *names)
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
