"""Runs a training from its options to a folder that the house loads as a model, and goes on with one that was ended."""

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
from image_retrieval.training.backbones import Backbone, from_checkpoint, from_nothing
from image_retrieval.training.failures import told_in_words
from image_retrieval.training.finishing import write_model
from image_retrieval.training.fitting import require_batches, require_crops, require_different, require_kinds
from image_retrieval.training.loop import Outcome, Plan, train
from image_retrieval.training.methods import BACKBONE, objective_of, require_fit, with_rate
from image_retrieval.training.options import RANDOM, TrainingOptions
from image_retrieval.training.ranks import with_shared_norms
from image_retrieval.training.recording import begun, failures_recorded, require_sound, told_to_stop
from image_retrieval.training.records import (
    CHECKPOINT,
    FINISHED,
    RUNNING,
    STOPPED,
    begin_record,
    options_of,
    read_record,
    require_own,
    update_record,
)
from image_retrieval.training.sampled import Sampled, read_sampled

log = structlog.get_logger()
SIDE = 224  # of crops, of a start from nothing


def run_training(
    options: TrainingOptions, out: str | Path, settings: Settings, device: str, *, resume: bool = False
) -> Outcome:
    """Begin a training whose model comes into a new folder; `resume`: or go on with the same one, if it was begun.

    A finished one is then left as it is. Raises UserError before anything expensive starts.
    """
    folder = f"{str(out).rstrip('/')}/"
    with ranks.joined(device) as own:
        store = ObjectStore(settings)
        record = ranks.from_first(lambda: begun(store, folder, options, resume=resume))
        if record and record.get("state") == FINISHED:
            log.info("already finished", out=folder)
            store.delete([folder + CHECKPOINT])  # if it was killed just before
            return Outcome(finished=True, figures=record["figures"])
        with told_in_words(options):
            return _train(_plan(options, folder, store, settings, own), record)


def resume_training(out: str | Path, settings: Settings, device: str) -> Outcome:
    """Go on with a folder's training from its checkpoint. Raises UserError if it is finished, or its pack is new."""
    folder = f"{str(out).rstrip('/')}/"
    with ranks.joined(device) as own:
        store = ObjectStore(settings)
        record = ranks.from_first(lambda: read_record(store, folder))
        if record.get("state") == FINISHED:
            raise UserError(f"the training in {folder} is finished: the folder is a model")
        require_sound(record, folder)
        options = options_of(record, folder)
        with told_in_words(options):
            return _train(_plan(options, folder, store, settings, own), record)


def _data(pack: Sampled) -> dict[str, Any]:
    return {"pack": pack.uri, "digest": pack.digest, "learnt": len(pack.learnt), "held_out": len(pack.held_out)}


def _plan(options: TrainingOptions, out: str, store: ObjectStore, settings: Settings, device: str) -> Plan:
    """Everything that can be wrong is found here. Raises UserError."""
    place = usable_device(device)
    require_fit(options)
    pack = read_sampled(store, options.pack)
    require_batches(options, len(pack.learnt))
    require_kinds(options, pack)
    require_different(options, pack, store)
    torch.manual_seed(options.seed)
    backbone = _backbone(options, settings)
    _lay_out_memory(options, backbone)
    epoch_steps = len(pack.learnt) // options.batch_size
    classes = int(pack.classes.max()) + 1
    objective, recipe = objective_of(options, backbone, len(pack.learnt), classes, epoch_steps * options.epochs)
    with_shared_norms(objective, place)
    objective.to(place)
    require_crops(objective, place)
    return Plan(options, pack, store, backbone, objective, with_rate(recipe, options.rate), epoch_steps, place, out)


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


def _train(plan: Plan, record: dict[str, Any] | None) -> Outcome:
    """Train; the folder's record, if there is one, tells what it began with. Raises UserError."""
    ranks.from_first(lambda: _begin(plan, record))
    with told_to_stop() as stopped, failures_recorded(plan.store, plan.out, plan.token, plan.options):
        outcome = train(plan, stopped)
        if ranks.rank() == 0:
            require_own(plan.store, plan.out, plan.token)
            if outcome.finished:
                write_model(plan, outcome.figures)
            state = FINISHED if outcome.finished else STOPPED
            update_record(plan.store, plan.out, state=state, recipe=asdict(plan.recipe), figures=outcome.figures)
            if outcome.finished:
                plan.store.delete([plan.out + CHECKPOINT])
    return outcome


def _begin(plan: Plan, record: dict[str, Any] | None) -> None:
    data = _data(plan.pack)
    if record is None:
        begin_record(plan.store, plan.out, plan.options, version=__version__, data=data, token=plan.token)
        return
    if record.get("data") != data:
        raise UserError(
            f"{plan.options.pack} is not the pack that the training in {plan.out} began with: begin a new one"
        )
    update_record(plan.store, plan.out, state=RUNNING, reason=None, token=plan.token)
