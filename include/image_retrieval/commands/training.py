"""Commands that make a training set of one's own images, and judge a trained model."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from image_retrieval.commands import training_pairs, training_runs, trainings
from image_retrieval.commands.arguments import finite_number, number
from image_retrieval.commands.collections import searchable_collection
from image_retrieval.commands.printing import print_json
from image_retrieval.errors import UserError
from image_retrieval.index_columns import index_format
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

    from image_retrieval.pipeline.packing import PackOptions

log = structlog.get_logger()
HELP = "Make a training set of one's own images, train models on it, and judge them."
LEAST = 2  # images of a set: one to learn from, and one to be compared with


def add_to(group: Any, add: Callable[..., Any]) -> None:
    """Add these commands to the group `training`, with the function that adds one command."""
    packing = add("pack", pack, to=group)
    packing.add_argument("source", metavar="COLLECTION|INDEX_FILE", help="a collection, or the URI of an index file")
    packing.add_argument(
        "uri", metavar="URI", help="an empty folder: a prefix of a store, such as s3://bucket/prefix, or a path"
    )
    packing.add_argument(
        "--longest-side", type=number(32, 4096), default=320, metavar="N", help="pixels of the packed pictures (320)"
    )
    packing.add_argument(
        "--held-out", type=finite_number, default=0.1, metavar="SHARE", help="share of the images to judge by (0.1)"
    )
    packing.add_argument("--images", type=number(1, 10**9), metavar="N", help="pack N of the images, drawn by the seed")
    packing.add_argument("--seed", type=number(0, 2**31), default=0, metavar="N", help="decides what is taken (0)")
    packing.add_argument("--tfrecord", action="store_true", help="also write TFRecord files of the same pictures")

    judging = add("gate", gate, to=group)
    judging.add_argument("pack", metavar="PACK", help="folder of a training set")
    judging.add_argument("model", metavar="MODEL", help="the model that is judged: a folder, a hub id, or a prefix")
    judging.add_argument("--against", required=True, metavar="MODEL", help="the model that it is to replace")
    judging.add_argument("--against-revision", metavar="COMMIT", help="commit of that hub id")
    judging.add_argument(
        "--no-against-use-cls-token", action="store_true", help="its vectors are means of the patch tokens"
    )
    judging.add_argument(
        "--out",
        metavar="FOLDER",
        help="for the report; default: MODEL, if it is a local folder or was trained, else none",
    )
    judging.add_argument("--seed", type=number(0, 2**31), default=0, metavar="N", help="decides the queries (0)")
    judging.add_argument("--device", help="cpu, cuda, or the rank of a GPU")
    judging.add_argument("--exit-zero", action="store_true", help="status 0 whatever the decision is")
    judging.set_defaults(in_pods=True)
    training_runs.add_to(group, add)
    trainings.add_to(group, add)
    training_pairs.add_to(group, add)


def pack(options: argparse.Namespace, settings: Settings) -> None:
    """Pack a collection's images, or those of an index file, into a training set."""
    if not 0 <= options.held_out <= 0.5:
        raise UserError(f"--held-out {options.held_out:g}: a share from 0 to 0.5 is needed")
    from image_retrieval.objects import ObjectStore
    from image_retrieval.pipeline.dataset import folder_of
    from image_retrieval.pipeline.packing import PackOptions
    from image_retrieval.pipeline.packing import pack as pack_images
    from image_retrieval.progress import stage_progress
    from image_retrieval.training.tfrecords import write_tfrecords

    chosen = PackOptions(
        longest_side=options.longest_side, held_out_share=options.held_out, most=options.images, seed=options.seed
    )
    folder = folder_of(options.uri)
    read = partial(_candidates, options.source, folder, chosen, settings)
    with stage_progress(("pack",)) as show:
        manifest = pack_images(options.source, folder, chosen, read, settings, progress=lambda done: show("pack", done))
    if options.tfrecord:
        log.info("wrote TFRecord files", files=write_tfrecords(ObjectStore(settings), folder), uri=folder)
    print_json(manifest)


def gate(options: argparse.Namespace, settings: Settings) -> int:
    """Judge a model on the held-out pictures of a training set; exit status 1: refused or undecided."""
    from image_retrieval.collection import ModelOptions
    from image_retrieval.pipeline.dataset import folder_of
    from image_retrieval.training.gating import report_folder, run_gate

    model = ModelOptions(name="given", source=options.model)
    token = not options.no_against_use_cls_token
    before = ModelOptions(name="given", source=options.against, revision=options.against_revision, use_cls_token=token)
    out = folder_of(options.out) if options.out else report_folder(options.model, settings)
    device = options.device or settings.device
    report = run_gate(folder_of(options.pack), model, before, out, settings, device, seed=options.seed)
    print_json({name: value for name, value in report.as_json().items() if name != "examples"})
    return 0 if report.decision == "passed" or options.exit_zero else 1


def _candidates(source: str, folder: str, options: "PackOptions", settings: Settings) -> "pa.Table":
    from image_retrieval.pipeline import candidates

    if index_format(source):
        found = candidates.of_index_file(source, folder, settings)
    else:
        found = candidates.of_collection(searchable_collection(settings, source), folder, settings)
    candidates.require_some(found, source, LEAST)
    return candidates.shuffled(found, options.seed, options.most)
