"""The command that trains a model on pictures with texts."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

from image_retrieval.commands.arguments import finite_number, number
from image_retrieval.commands.training_runs import print_outcome
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.training.pairs.options import BATCH_SIZE, PairOptions
from image_retrieval.training.pairs.texts import is_pair_file

MOST = 1_000_000


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add this command to the group `training`, with the function that adds one command."""
    learning = add("pairs", pairs, to=group)
    learning.add_argument(
        "pack", metavar="PACK|FILE", help="a packed training set with captions, or a .tsv or .jsonl of URIs and texts"
    )
    learning.add_argument(
        "out", metavar="OUT", help="new folder, which becomes the model: a prefix of a store, or a path"
    )
    learning.add_argument(
        "--start", required=True, metavar="SOURCE", help="a dual encoder, or the model that gets a text side"
    )
    learning.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    learning.add_argument("--epochs", type=number(1, MOST), metavar="N", help="60 for a text side, else 10")
    learning.add_argument(
        "--batch-size", type=number(2, MOST), default=BATCH_SIZE, metavar="N", help="pictures a step (%(default)s)"
    )
    learning.add_argument("--lr", type=finite_number, metavar="X", help="rate for batches of 256")
    learning.add_argument(
        "--held-out", type=finite_number, default=0.1, metavar="SHARE", help="of FILE's pictures, to judge by (0.1)"
    )
    learning.add_argument(
        "--general", metavar="PACK|FILE", help="other pairs, of which at most a point of R@1 may be lost"
    )
    learning.add_argument(
        "--negatives",
        metavar="COLLECTION",
        help="what PACK was packed from: each step holds pictures that its vectors find alike",
    )
    learning.add_argument("--text-only", action="store_true", help="change only the text side of a dual encoder")
    learning.add_argument(
        "--checkpoint-every",
        type=number(1, MOST),
        metavar="N",
        help="epochs between checkpoints (10 for a text side, else 1)",
    )
    learning.add_argument(
        "--seed", type=number(0, 2**31), default=0, metavar="N", help="decides order, texts and first weights (0)"
    )
    learning.add_argument("--resume", action="store_true", help="go on if it was begun; do nothing if it is finished")
    learning.add_argument("--exit-zero", action="store_true", help="status 0 even if the model is refused")
    learning.add_argument("--device", help="cpu, cuda, or the rank of a GPU")
    learning.set_defaults(in_pods=True)


def pairs(options: argparse.Namespace, settings: Settings) -> int:
    """Train a model on pictures with texts; exit status 1: it was refused, and not written."""
    from image_retrieval.models.description import describe
    from image_retrieval.models.source import model_folder
    from image_retrieval.objects import ObjectStore
    from image_retrieval.training.pairs.running import method_for, require_start, train_pairs
    from image_retrieval.training.recording import begun

    if options.lr is not None and options.lr <= 0:
        raise UserError(f"--lr: {options.lr:g} is not a rate above 0; see `image-retrieval training pairs --help`")
    if not 0 < options.held_out <= 0.5:
        raise UserError(f"--held-out {options.held_out:g}: a share above 0, up to 0.5, is needed")
    out = options.out.rstrip("/")
    folder = _folder(options.pack, f"{out}.pack/")
    general = _folder(options.general, f"{out}.general/") if options.general else None
    method = method_for(describe(model_folder(options.start, options.revision, settings)))
    wanted = PairOptions(
        folder, method, options.start, options.revision, general=general, epochs=options.epochs,
        batch_size=options.batch_size, rate=options.lr, seed=options.seed, text_only=options.text_only,
        negatives=options.negatives, checkpoint_every=options.checkpoint_every,
    )  # fmt: skip
    require_start(wanted, settings)
    begun(ObjectStore(settings), f"{out}/", wanted, resume=options.resume)
    for source, place in ((options.pack, folder), (options.general, general)):
        if place and is_pair_file(source):
            _pack(source, place, options, settings)
    negatives = partial(_negatives, folder, options.negatives, settings) if options.negatives else None
    device = options.device or settings.device
    outcome = train_pairs(wanted, f"{out}/", settings, device, resume=options.resume, find_negatives=negatives)
    return print_outcome(outcome, options.out, exit_zero=options.exit_zero)


def _folder(source: str, new: str) -> str:
    """The folder of a pack, or the new one for the pictures of a file."""
    return new if is_pair_file(source) else f"{source.rstrip('/')}/"


def _pack(source: str, folder: str, options: argparse.Namespace, settings: Settings) -> None:
    """Pack the pictures and texts of a file."""
    from image_retrieval.pipeline.packing import PackOptions
    from image_retrieval.pipeline.pair_files import pack_pairs, pairs_of

    chosen = PackOptions(held_out_share=options.held_out, seed=options.seed)
    pack_pairs(source, pairs_of(source, settings), folder, chosen, settings)


def _negatives(folder: str, name: str, settings: Settings) -> dict[str, list[str]]:
    """By image id, the pictures of a pack that look alike and are not."""
    from image_retrieval.commands.collections import searchable_collection
    from image_retrieval.pipeline.hard_negatives import hard_negatives

    return hard_negatives(folder, searchable_collection(settings, name).name, settings)
