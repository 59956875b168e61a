"""Runs a training on pairs from its options to a folder that the house loads as a model, and goes on with one."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from image_retrieval import __version__
from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription, describe
from image_retrieval.models.loading import usable_device
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training.failures import told_in_words
from image_retrieval.training.finishing import LAST
from image_retrieval.training.loop import Outcome
from image_retrieval.training.pairs.card import report_page
from image_retrieval.training.pairs.course import Course
from image_retrieval.training.pairs.options import PairMethod, PairOptions
from image_retrieval.training.pairs.paired import read_paired, require_enough, with_negatives
from image_retrieval.training.pairs.text_sides import add_text_side
from image_retrieval.training.pairs.tuning import tune
from image_retrieval.training.recording import begun, failures_recorded, require_sound, told_to_stop
from image_retrieval.training.records import (
    CHECKPOINT,
    FINISHED,
    REPORT,
    REPORT_PAGE,
    RUNNING,
    STOPPED,
    begin_record,
    pair_options_of,
    read_record,
    require_own,
    update_record,
)

log = structlog.get_logger()
NEGATIVES = "negatives.json"  # of a training that takes them, so that it goes on with the same ones
Negatives = Mapping[str, Sequence[str]]


def train_pairs(
    options: PairOptions,
    out: str,
    settings: Settings,
    device: str,
    *,
    resume: bool = False,
    find_negatives: Callable[[], Negatives] | None = None,
) -> Outcome:
    """Train on the texts of a pack; the new folder `out`, which ends in `/`, becomes the model.

    `resume`: or go on with the same training, if it was begun; a finished one is left as it is. `find_negatives` gives,
    by image id, pictures that look alike and are not, of which one comes next to each picture. The figures hold the
    report, too. A model that is refused is not written. Raises UserError before anything expensive starts.
    """
    store = ObjectStore(settings)
    record = begun(store, out, options, resume=resume)
    if record and record.get("state") == FINISHED:
        log.info("already finished", out=out)
        store.delete([out + CHECKPOINT])  # if it was killed just before
        return Outcome(finished=True, figures=record["figures"] | json.loads(store.read(out + REPORT)))
    return _train(options, out, store, settings, device, record, find_negatives)


def resume_pairs(out: str, settings: Settings, device: str) -> Outcome:
    """Go on with a folder's training from its checkpoint. Raises UserError if it is finished, or its pack is new."""
    store = ObjectStore(settings)
    record = read_record(store, out)
    if record.get("state") == FINISHED:
        raise UserError(f"the training in {out} is finished: {record['figures']['decision']}")
    require_sound(record, out)
    return _train(pair_options_of(record, out), out, store, settings, device, record, None)


def method_for(described: ModelDescription) -> PairMethod:
    """What a start of this kind is trained by."""
    return "pairs" if described.image_family == "dual_encoder" else "text"


def require_start(options: PairOptions, settings: Settings) -> tuple[Path, ModelDescription]:
    """The start's folder and what it is. Raises UserError if the options are not for it."""
    folder = model_folder(options.start, options.revision, settings)
    described = describe(folder)
    if method_for(described) != options.method:
        raise UserError(
            f"{options.start} is of type {described.model_type!r}: method {method_for(described)} is for it"
        )
    wanted = {"--general": options.general, "--text-only": options.text_only, "--negatives": options.negatives}
    if options.method == "text" and any(wanted.values()):
        name = next(flag for flag, value in wanted.items() if value)
        raise UserError(
            f"{name} is for dual encoders: {options.start} is of type {described.model_type!r}, gets a text side, and "
            "has nothing to lose"
        )
    return folder, described


def _train(
    options: PairOptions,
    out: str,
    store: ObjectStore,
    settings: Settings,
    device: str,
    record: dict[str, Any] | None,
    find_negatives: Callable[[], Negatives] | None,
) -> Outcome:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("a training on pairs is one process: run it on one machine, with one GPU")
    usable_device(device)
    folder, described = require_start(options, settings)
    paired, negatives = read_paired(store, options.pack), None
    require_enough(paired)
    if options.negatives is not None:
        negatives = _negatives(store, out, record, find_negatives)
        paired = with_negatives(paired, negatives)
    general = read_paired(store, options.general) if options.general else None
    if general and not len(general.index):
        raise UserError(f"{options.general} has no picture with a text: a general set needs them to judge by")
    with told_to_stop() as stopped, told_in_words(options):
        course = Course(options, paired, store, out, stopped)
        _begin(course, record, negatives)
        with failures_recorded(store, out, course.token, options), tempfile.TemporaryDirectory() as work:
            made = Path(work)
            if options.method == "pairs":
                outcome, report = tune(course, folder, described, general, made, device)
            else:
                outcome, report = add_text_side(course, folder, described, made, device)
            return _end(course, outcome, report, made)


def _negatives(
    store: ObjectStore, out: str, record: dict[str, Any] | None, find: Callable[[], Negatives] | None
) -> Negatives:
    """Those that the training began with, or else new ones."""
    if record and store.exists(out + NEGATIVES):
        kept: Negatives = json.loads(store.read(out + NEGATIVES))
        return kept
    if find is None:
        raise UserError(f"{out} holds no {NEGATIVES}: `training pairs … --negatives … --resume` finds them")
    return find()


def _begin(course: Course, record: dict[str, Any] | None, negatives: Negatives | None) -> None:
    paired, out = course.paired, course.out
    counts = {"learnt": len(paired.learnt), "held_out": len(paired.held_out)}
    data = {"pack": paired.uri, "digest": paired.digest, **counts}
    if record is None:
        begin_record(course.store, out, course.options, version=__version__, data=data, token=course.token)
    elif record.get("data") != data:
        raise UserError(f"{paired.uri} holds other pictures or texts than the training in {out} began with: begin anew")
    else:
        update_record(course.store, out, state=RUNNING, reason=None, token=course.token)
    if negatives is not None:
        course.store.write(out + NEGATIVES, json.dumps(negatives).encode())


def _end(course: Course, outcome: Outcome, report: dict[str, Any], made: Path) -> Outcome:
    """Record how a training ended; the files of a model that is not refused come first, config.json as their last."""
    store, out = course.store, course.out
    require_own(store, out, course.token)
    if not outcome.finished:
        update_record(store, out, state=STOPPED, figures=outcome.figures)
        return outcome
    if report["decision"] != "refused":
        for path in sorted(made.iterdir(), key=lambda path: (path.name == LAST, path.name)):
            store.upload(path, out + path.name)
    store.write(out + REPORT, (json.dumps(report, indent=2) + "\n").encode())
    store.write(out + REPORT_PAGE, report_page(report).encode())
    told = {name: report[name] for name in ("kind", "decision", "learnt", "held_out", "texts")}
    update_record(store, out, state=FINISHED, figures=outcome.figures | told)
    store.delete([out + CHECKPOINT, out + NEGATIVES])
    return Outcome(finished=True, figures=outcome.figures | report)
