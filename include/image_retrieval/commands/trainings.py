"""Commands that tell of the trainings in the database."""

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from image_retrieval.commands.confirming import agreed
from image_retrieval.commands.printing import print_json, print_table
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    from image_retrieval.store.trainings import ListedTraining


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add these commands to the group `training`, with the function that adds one command."""
    add("list", list_all, to=group, json_too=True)
    showing = add("show", show, to=group)
    dropping = add("drop", drop, to=group)
    for command in (showing, dropping):
        command.add_argument("name", metavar="NAME", help="name of the model that the training makes")
    dropping.add_argument("--with-folders", action="store_true", help="also its packed pictures and its model")
    dropping.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    dropping.add_argument("--dry-run", action="store_true", help="only show what there is")
    dropping.add_argument("--force", action="store_true", help="even if it seems to be under way, as a killed one does")


def list_all(options: argparse.Namespace, settings: Settings) -> None:
    """List the trainings that the DAG model_training has begun, the latest first."""
    from dataclasses import asdict

    from image_retrieval.store.connection import connect
    from image_retrieval.store.trainings import list_trainings

    with connect(settings, keep_limits=True) as connection:
        found = list_trainings(connection)
    if options.json:
        print_json({"trainings": [asdict(training) for training in found]})
        return
    columns = ("training", "state", "method", "from", "start", "against", "approval", "begun")
    print_table(columns, [(*_row(each), f"{each.started_at:%Y-%m-%d %H:%M}") for each in found])


def _row(each: "ListedTraining") -> tuple[str, ...]:
    return each.name, each.state, each.method, each.source, each.start, each.against, each.decision or ""


def show(options: argparse.Namespace, settings: Settings) -> None:
    """Show one training: settings, state, figures, the gate's report, and its progress."""
    from dataclasses import asdict

    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline.trainings import progress_of, read_training

    training = read_training(options.name, settings)
    progress = progress_of(training, ObjectStore(settings))
    last = progress["losses"][-1:]
    shown = asdict(training)
    if training.gate:
        shown["gate"] = {name: value for name, value in training.gate.items() if name != "examples"}
    print_json({**shown, "folder": {**progress, "losses": last}})


def drop(options: argparse.Namespace, settings: Settings) -> int:
    """Remove a training, but not its pictures and its model unless requested."""
    from dataclasses import asdict

    from image_retrieval.pipeline.training_dropping import drop_training, find_contents

    chosen = {"folders": options.with_folders, "force": options.force}
    print_json({"training": options.name, **asdict(find_contents(options.name, settings, **chosen))})
    if options.dry_run:
        return 0
    if not options.yes and not agreed(f"training {options.name!r}"):
        print("nothing was dropped", file=sys.stderr)
        return 1
    drop_training(options.name, settings, **chosen)
    return 0
