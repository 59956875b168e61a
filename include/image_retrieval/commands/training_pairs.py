"""The command that trains a model on pictures with texts."""

import argparse
from collections.abc import Callable
from typing import Any

from image_retrieval.commands.arguments import finite_number, new_folder, number
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.settings import Settings
from image_retrieval.training.pairs.options import BATCH_SIZE, PairOptions
from image_retrieval.training.pairs.texts import Pair, is_pair_file

MOST = 1_000_000


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add this command to the group `training`, with the function that adds one command."""
    learning = add("pairs", pairs, to=group)
    learning.add_argument(
        "pack", metavar="PACK|FILE", help="a packed training set with captions, or a .tsv or .jsonl of URIs and texts"
    )
    learning.add_argument(
        "out", type=new_folder, metavar="OUT", help="new folder of this machine, which becomes the model"
    )
    learning.add_argument(
        "--start", required=True, metavar="SOURCE", help="a dual encoder, or the model that gets a text side"
    )
    learning.add_argument("--revision", metavar="COMMIT", help="commit of a hub id")
    learning.add_argument("--epochs", type=number(1, MOST), metavar="N", help="(60 for a text side, else 10)")
    learning.add_argument(
        "--batch-size", type=number(2, MOST), default=BATCH_SIZE, metavar="N", help="pictures a step (%(default)s)"
    )
    learning.add_argument("--lr", type=finite_number, metavar="X", help="rate for batches of 256")
    learning.add_argument(
        "--held-out", type=finite_number, default=0.1, metavar="SHARE", help="of FILE's pictures, to judge by (0.1)"
    )
    learning.add_argument(
        "--general", metavar="PACK|FILE", help="pairs that are kept apart: at most a point may be lost"
    )
    learning.add_argument(
        "--negatives",
        metavar="COLLECTION",
        help="that PACK was packed from: each step holds pictures that its vectors find alike",
    )
    learning.add_argument("--text-only", action="store_true", help="change the text side of a dual encoder alone")
    learning.add_argument("--seed", type=number(0, 2**31), default=0, metavar="N")
    learning.add_argument("--device", help="cpu, cuda, or the rank of a GPU")


def pairs(options: argparse.Namespace, settings: Settings) -> int:
    """Train a model on pictures with texts; exit status 1: it was refused, and not written."""
    from image_retrieval.training.pairs.running import require_start, train_pairs

    if options.lr is not None and options.lr <= 0:
        raise UserError(f"--lr: {options.lr:g} is not a rate above 0; see `image-retrieval training pairs --help`")
    if not 0 < options.held_out <= 0.5:
        raise UserError(f"--held-out {options.held_out:g}: a share above 0, up to 0.5, is needed")
    out = options.out.resolve()
    folder = _folder(options.pack, f"{out}.pack/")
    general = _folder(options.general, f"{out}.general/") if options.general else None
    wanted = PairOptions(
        folder, options.start, options.revision, general=general, epochs=options.epochs, batch_size=options.batch_size,
        rate=options.lr, seed=options.seed, text_only=options.text_only, negatives=options.negatives,
    )  # fmt: skip
    require_start(wanted, options.out, settings)
    given = _packed(options.pack, folder, options, settings)
    apart = _packed(options.general, general, options, settings) if general else None
    negatives = _negatives(folder, options.negatives, settings) if options.negatives else None
    figures = train_pairs(wanted, options.out, settings, options.device or settings.device, given, apart, negatives)
    print_json({"out": str(options.out), **figures})
    return 1 if figures.get("decision") == "refused" else 0


def _folder(source: str, new: str) -> str:
    """The folder of a pack, or the new one for the pictures of a file."""
    return new if is_pair_file(source) else f"{source.rstrip('/')}/"


def _packed(source: str, folder: str, options: argparse.Namespace, settings: Settings) -> list[Pair] | None:
    """The pairs of a file, whose pictures are packed into the folder; None of a pack."""
    from image_retrieval.pipeline.packing import PackOptions
    from image_retrieval.pipeline.pair_files import pack_pairs, pairs_of

    if not is_pair_file(source):
        return None
    found = pairs_of(source, settings)
    chosen = PackOptions(held_out_share=options.held_out, seed=options.seed)
    pack_pairs(source, found, folder, chosen, settings)
    return found


def _negatives(folder: str, name: str, settings: Settings) -> dict[str, list[str]]:
    """By image id, the pictures of a pack that look alike and are not."""
    from image_retrieval.commands.collections import searchable_collection
    from image_retrieval.pipeline.hard_negatives import hard_negatives

    return hard_negatives(folder, searchable_collection(settings, name).name, settings)
