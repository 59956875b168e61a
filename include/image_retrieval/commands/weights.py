"""Commands that show, set and learn how much vectors count in hybrid searches."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from image_retrieval.commands.arguments import finite_number
from image_retrieval.commands.collections import searchable_collection
from image_retrieval.commands.printing import print_json, print_table
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings

HELP = "Show, set and learn how much vectors count in hybrid searches."


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add these commands to the group `weights`, with the function that adds one command."""
    add("show", show, to=group, collection=True, json_too=True)
    setting = add("set", set_weight, to=group, collection=True)
    setting.add_argument("weight", type=finite_number, metavar="WEIGHT", help="0: captions alone, to 1: vectors alone")
    fitting = add("fit", fit, to=group, collection=True, json_too=True)
    fitting.add_argument(
        "queries", metavar="FILE", help='lines such as {"text": "two red rings", "images": ["red-ring/0004"]}'
    )
    fitting.add_argument("--dry-run", action="store_true", help="only show what would be gained")


def show(options: argparse.Namespace, settings: Settings) -> None:
    """Show the weight of vectors in a collection's hybrid searches; the rest is that of captions."""
    from image_retrieval.store.collections import find_shown
    from image_retrieval.store.connection import connect
    from image_retrieval.store.hybrid import find_weight

    collection = searchable_collection(settings, options.collection)
    with connect(settings, keep_limits=True) as connection:
        weight, shown = find_weight(connection, collection.name), find_shown(connection, collection.name)
    if options.json:
        print_json({"weight": weight})
        return
    others = ("words", "caption") if shown and shown.text_model else ("words",)
    print_table(
        ("side", "weight"), [("vector", f"{weight:g}"), *((side, f"{(1 - weight) / len(others):g}") for side in others)]
    )


def set_weight(options: argparse.Namespace, settings: Settings) -> None:
    """Set the weight of vectors in a collection's hybrid searches."""
    if not 0 <= options.weight <= 1:
        raise UserError(f"WEIGHT {options.weight:g}: a number from 0 to 1 is needed")
    from image_retrieval.store.connection import connect
    from image_retrieval.store.hybrid import keep_weight

    collection = searchable_collection(settings, options.collection)
    with connect(settings) as connection:
        keep_weight(connection, collection.name, options.weight)


def fit(options: argparse.Namespace, settings: Settings) -> None:
    """Learn the weight from queries with right answers; it stays as it is if it gains nothing on held-out queries."""
    from image_retrieval.pipeline.weighing import fit_weight

    collection = searchable_collection(settings, options.collection)
    learnt = fit_weight(collection, options.queries, settings, keep=not options.dry_run)
    if options.json:
        print_json(asdict(learnt))
        return
    rows = [
        ("queries", f"{learnt.queries}, {learnt.held_out} of them held out"),
        ("weight", f"{learnt.former:g}, best on the others: {learnt.weight:g}"),
        ("nDCG@10 on those held out", f"{learnt.before:.3f}, with the best weight {learnt.after:.3f}"),
        ("gain", f"{learnt.gain:+.3f} ± {learnt.error:.3f}"),
        (
            "result",
            "better" + (": not set" if options.dry_run else ": set") if learnt.changed else "no gain: left alone",
        ),
    ]
    print_table(("weights", collection.name), rows)
