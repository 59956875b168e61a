"""Commands that train a model on a packed training set."""

import argparse
from collections.abc import Callable
from typing import Any

from image_retrieval.commands.arguments import finite_number, number
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.exit_codes import TERMINATED
from image_retrieval.settings import Settings
from image_retrieval.training.options import (
    BACKBONES,
    BATCH_SIZE,
    CHECKPOINT_EVERY,
    EPOCHS,
    METHODS,
    PRECISIONS,
    READERS,
    TrainingOptions,
)

MOST = 1_000_000


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add these commands to the group `training`, with the function that adds one command."""
    begin = add("run", run, to=group)
    begin.add_argument("pack", metavar="PACK", help="folder of a packed training set: a prefix of a store, or a path")
    begin.add_argument("out", metavar="OUT", help="new folder, which becomes the model: a prefix of a store, or a path")
    begin.add_argument("--method", choices=METHODS, default="continue", help="what it learns by (continue)")
    begin.add_argument("--start", required=True, metavar="SOURCE", help="model to go on from, or `random`")
    begin.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    begin.add_argument("--backbone", choices=BACKBONES, help="the network of a random start")
    whole = (
        ("--epochs", 1, EPOCHS, "how often each picture is taken (%(default)s)"),
        ("--batch-size", 2, BATCH_SIZE, "pictures a step (%(default)s)"),
        ("--checkpoint-every", 1, CHECKPOINT_EVERY, "epochs between checkpoints (%(default)s)"),
    )
    for name, least, default, told in whole:
        begin.add_argument(name, type=number(least, MOST), default=default, metavar="N", help=told)
    begin.add_argument(
        "--lr", type=finite_number, metavar="X", help="rate for batches of 256; default: the method's own"
    )
    begin.add_argument(
        "--crop", type=number(16, 1024), metavar="N", help="side of the views; default: the start's, or 224"
    )
    begin.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the computation (float32)")
    begin.add_argument(
        "--seed", type=number(0, 2**32 - 1), default=0, metavar="N", help="decides order, views and first weights (0)"
    )
    begin.add_argument(
        "--readers", type=number(1, 256), default=READERS, metavar="N", help="threads that read (%(default)s)"
    )
    begin.add_argument(
        "--accumulate",
        type=number(1, 1024),
        default=1,
        metavar="N",
        help="parts of a batch that go through the model one by one (1)",
    )
    begin.add_argument("--gradient-checkpointing", action="store_true", help="less memory, more time")
    begin.add_argument("--resume", action="store_true", help="go on if it was begun; do nothing if it is finished")
    begin.add_argument("--half", action="store_true", help="save the model in half precision")
    goes_on = add("resume", resume, to=group)
    goes_on.add_argument("out", metavar="OUT", help="folder of a training that was ended")
    for command in (begin, goes_on):
        command.set_defaults(in_pods=True)
        command.add_argument("--device", help="cpu, cuda, or the rank of a GPU")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Train a model on a packed training set."""
    from dataclasses import fields

    from image_retrieval.pipeline.dataset import folder_of
    from image_retrieval.training.running import run_training

    if options.lr is not None and options.lr <= 0:
        raise UserError(f"--lr: {options.lr:g} is not a rate above 0; see `image-retrieval training run --help`")
    given = vars(options) | {"rate": options.lr, "pack": folder_of(options.pack)}
    chosen = TrainingOptions(**{field.name: given[field.name] for field in fields(TrainingOptions)})
    device, out = options.device or settings.device, folder_of(options.out)
    return print_outcome(run_training(chosen, out, settings, device, resume=options.resume), options.out)


def resume(options: argparse.Namespace, settings: Settings) -> int:
    """Go on with a training that was ended, from its checkpoint; exit status 1: the model was refused."""
    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline.dataset import folder_of
    from image_retrieval.training.pairs.running import resume_pairs
    from image_retrieval.training.records import find_record, is_of_pairs
    from image_retrieval.training.running import resume_training

    out, device = folder_of(options.out), options.device or settings.device
    of_pairs = is_of_pairs(find_record(ObjectStore(settings), out) or {})
    outcome = (resume_pairs if of_pairs else resume_training)(out, settings, device)
    return print_outcome(outcome, options.out)


def print_outcome(outcome: Any, out: str, *, exit_zero: bool = False) -> int:
    """Print the figures of a training, and return its exit status; `exit_zero`: 0 even if the model was refused."""
    from image_retrieval.training.ranks import rank

    if rank() == 0:
        print_json({"out": out, "finished": outcome.finished, **outcome.figures})
    if not outcome.finished:
        return TERMINATED
    return 1 if outcome.figures.get("decision") == "refused" and not exit_zero else 0
