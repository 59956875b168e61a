"""The card of a model that was trained on pairs: README.md, with its languages and figures."""

from pathlib import Path
from typing import Any

import yaml

from image_retrieval.models.card import read_card
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.recall import AT

WAYS = {"text_to_image": "texts find pictures", "image_to_text": "pictures find texts"}


def text_side_card(options: PairOptions, start: Path, report: dict[str, Any]) -> str:
    """The card of a model that got a text side."""
    lines = [
        *_head(start, list(report["after"]["all"])),
        "# A text side for a model of pictures",
        "",
        f"The picture side is {options.start}, unchanged: vectors of pictures stay as they are. The text side was "
        f"trained on {report['learnt']:,} pictures and their texts. {_sentence(report)}",
        "",
        *_tables(report),
    ]
    return "\n".join(lines)


def fine_tuned_card(options: PairOptions, start: Path, report: dict[str, Any]) -> str:
    """The card of a dual encoder that was fine-tuned."""
    lines = [
        *_head(start, list(report["after"]["held_out"])),
        "# A fine-tuned dual encoder",
        "",
        f"{options.start}, fine-tuned on {report['learnt']:,} pictures with {report['texts']:,} distinct texts"
        f"{' (its text side alone)' if options.text_only else ''}; the mean of the weights before and after has "
        f"α = {report['alpha']:g}. {_sentence(report)}",
        "",
        *_tables(report),
    ]
    return "\n".join(lines)


def report_page(report: dict[str, Any]) -> str:
    """The report of a training on pairs for a person, in Markdown; its title is the decision."""
    return "\n".join([f"# {report['decision'].capitalize()}", "", _sentence(report), "", *_tables(report)])


def _sentence(report: dict[str, Any]) -> str:
    return f"{report['reason'][0].upper()}{report['reason'][1:]}."


def _tables(report: dict[str, Any]) -> list[str]:
    """What is found of each set, before and after; a text side has no before."""
    held_out, learnt, lines = report["held_out"], report["learnt"], []
    titles = {
        "held_out": f"Of {held_out:,} pictures that were held out",
        "all": f"Of the same pictures, among all {learnt + held_out:,}",
        "general": "Of the general set",
    }
    for name, title in titles.items():
        for when in ("before", "after"):
            if name in report.get(when, {}):
                told = f", {when}" if "before" in report else ""
                lines += [f"{title}{told}; in brackets what chance would find:", ""]
                lines += [*recall_table(report[when][name]), ""]
    return lines


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
