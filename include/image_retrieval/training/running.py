"""Runs a training from its options to a folder that the house loads as a model, and goes on with one that was ended."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
import torch
from transformers import PreTrainedModel

from image_retrieval import __version__
from image_retrieval.errors import UserError
from image_retrieval.models.loading import usable_device
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training import ranks
from image_retrieval.training.backbones import Backbone, from_checkpoint, from_nothing, save
from image_retrieval.training.checkpoints import NAME as CHECKPOINT
from image_retrieval.training.loop import Collapsed, Outcome, Plan, train
from image_retrieval.training.methods import BACKBONE, objective_of, require_fit, with_rate
from image_retrieval.training.options import (
    RANDOM,
    TrainingOptions,
    begin_record,
    read_options,
    read_record,
    update_record,
)
from image_retrieval.training.ranks import with_shared_norms
from image_retrieval.training.sampled import Sampled, read_sampled

log = structlog.get_logger()
SIDE = 224  # of crops, of a start from nothing
FEWEST = 2  # pictures a process takes at once: batch normalisation knows nothing of one


def run_training(options: TrainingOptions, out: Path, settings: Settings, device: str) -> Outcome:
    """Begin a training whose model comes into a new folder. Raises UserError before anything expensive starts."""
    with ranks.joined(device) as own:
        plan = _plan(options, out, settings, own)
        if ranks.rank() == 0:
            begin_record(out, options)
            update_record(out, version=__version__, data=_data(plan.pack))
        return _train(plan)


def resume_training(out: Path, settings: Settings, device: str) -> Outcome:
    """Go on with a folder's training from its checkpoint. Raises UserError if it is finished, or its pack is new."""
    options, record = read_options(out), read_record(out)
    if record.get("state") == "finished":
        raise UserError(f"the training in {out} is finished: the folder is a model")
    with ranks.joined(device) as own:
        plan = _plan(options, out, settings, own)
        if record.get("data") != _data(plan.pack):
            raise UserError(f"{options.pack} is not the pack that the training in {out} began with: begin a new one")
        return _train(plan)


def _data(pack: Sampled) -> dict[str, Any]:
    return {"pack": pack.uri, "digest": pack.digest, "learnt": len(pack.learnt), "held_out": len(pack.held_out)}


def _plan(options: TrainingOptions, out: Path, settings: Settings, device: str) -> Plan:
    """Everything that can be wrong is found here. Raises UserError."""
    place, store = usable_device(device), ObjectStore(settings)
    require_fit(options)
    pack = read_sampled(store, options.pack)
    _require_batches(options, len(pack.learnt))
    torch.manual_seed(options.seed)
    backbone = _backbone(options, settings)
    _lay_out_memory(options, backbone)
    epoch_steps = len(pack.learnt) // options.batch_size
    classes = int(pack.classes.max()) + 1
    objective, recipe = objective_of(options, backbone, len(pack.learnt), classes, epoch_steps * options.epochs)
    with_shared_norms(objective, place)
    objective.to(place)
    return Plan(options, pack, store, backbone, objective, with_rate(recipe, options.rate), epoch_steps, place, out)


def _require_batches(options: TrainingOptions, images: int) -> None:
    parts = options.accumulate * ranks.world()
    if options.batch_size > images:
        raise UserError(
            f"{options.pack} has {images} pictures to learn from: --batch-size {options.batch_size} is more"
        )
    if options.batch_size % parts or options.batch_size // parts < FEWEST:
        raise UserError(
            f"--batch-size {options.batch_size} does not divide into {parts} parts of at least {FEWEST} pictures "
            f"({ranks.world()} processes, --accumulate {options.accumulate})"
        )


def _backbone(options: TrainingOptions, settings: Settings) -> Backbone:
    if options.start == RANDOM:
        return from_nothing(options.backbone or BACKBONE[options.method], options.crop or SIDE)
    return from_checkpoint(model_folder(options.start, options.revision, settings), options.crop)


def _lay_out_memory(options: TrainingOptions, backbone: Backbone) -> None:
    if not options.gradient_checkpointing:
        return
    model = getattr(backbone.encoder, "model", None)
    if not isinstance(model, PreTrainedModel) or not model.supports_gradient_checkpointing:
        raise UserError(f"--gradient-checkpointing: backbones of type {backbone.model_type!r} cannot do it")
    model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})


def _train(plan: Plan) -> Outcome:
    if ranks.rank() == 0:
        update_record(plan.out, state="running")
    with _told_to_stop() as stopped:
        try:
            outcome = train(plan, stopped)
        except Collapsed as error:
            if ranks.rank() == 0:
                update_record(plan.out, state="collapsed", reason=str(error))
            raise
    if ranks.rank() == 0:
        if outcome.finished:
            save(plan.backbone, plan.objective.encoder, plan.out, half=plan.options.half)
        update_record(
            plan.out,
            state="finished" if outcome.finished else "stopped",
            recipe=asdict(plan.recipe),
            figures=outcome.figures,
        )
        if outcome.finished:
            (plan.out / CHECKPOINT).unlink(missing_ok=True)
    return outcome


@contextmanager
def _told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come: the loop then saves a checkpoint and ends."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGTERM, before)
