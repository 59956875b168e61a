"""Trainings: from images to a model that collections may be switched to.

Each step is a function that may be run again at any time. The training itself and the gate run outside, by the commands
`training run` and `training gate`, and need no database.
"""

import json
from collections.abc import Callable
from typing import Any, TypedDict

import structlog

from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.description import describe
from image_retrieval.models.source import model_folder
from image_retrieval.objects import ObjectMissing, ObjectStore
from image_retrieval.pipeline.packing import PackOptions
from image_retrieval.pipeline.packing import pack as pack_images
from image_retrieval.pipeline.pair_requests import is_of_pairs, pack_texts
from image_retrieval.pipeline.training_requests import Wanted, candidates_of, planned, require_same
from image_retrieval.settings import Settings
from image_retrieval.store import models, trainings
from image_retrieval.store.connection import connect
from image_retrieval.store.trainings import UNDER_WAY, Decision, State, Training
from image_retrieval.training.packs import PackManifest
from image_retrieval.training.records import (
    COLLAPSED,
    FINISHED,
    LOSSES,
    REPORT,
    REPORT_PAGE,
    REPORT_PICTURE,
    find_record,
)
from image_retrieval.training.sampled import FEWEST

MOST_BYTES = 2**24  # of each
LONGEST_SIDE = 320  # pixels of packed pictures, unless the crop is larger

log = structlog.get_logger()


class Progress(TypedDict):
    """Where a training is: the state and the figures in its folder, and the curve of its loss.

    `losses` are points `{"step", "epoch", "loss"}`.
    """

    state: str | None
    figures: Any
    losses: Any


def begin(
    wanted: Wanted, run_id: str, settings: Settings, goes_on: Callable[[str], bool] = lambda run: False
) -> Training:
    """Begin a training, or take up the one of that name that was begun with the same settings.

    `goes_on`: whether another run, of that id, has not ended. Raises UserError for what is wrong with the training, and
    if another run goes on with it: nothing was written then.
    """
    with connect(settings) as connection:
        known = trainings.find_training(connection, wanted.name)
    if known is not None:
        require_same(wanted, known)
    begun = known.begun if known else planned(wanted, settings)
    with connect(settings) as connection:
        trainings.begin(connection, begun, run_id)
        found = trainings.find_training(connection, wanted.name)
        if found is not None:  # perhaps another run's, begun meanwhile
            require_same(wanted, found)
            if found.run_id != run_id and goes_on(found.run_id):
                raise UserError(
                    f"run {found.run_id!r} is at work on training {wanted.name!r}, or asks for an approval: let it end"
                )
        trainings.take_up(connection, wanted.name, run_id)
    log.info("training begun", training=begun.name, start=begun.start, against=begun.against)
    return read_training(wanted.name, settings)


def read_training(name: str, settings: Settings) -> Training:
    """A training's row. Raises UserError if there is none."""
    with connect(settings) as connection:
        found = trainings.find_training(connection, name)
    if found is None:
        raise UserError(f"there is no training {name!r}: see `image-retrieval training list`")
    return found


def advance(name: str, state: State, settings: Settings) -> None:
    """Record that a step of a training begins."""
    with connect(settings) as connection:
        trainings.advance(connection, name, state)


def pack(name: str, settings: Settings) -> PackManifest:
    """Pack the pictures that a training learns from. Raises UserError if too few could be packed."""
    training = read_training(name, settings)
    if is_of_pairs(training):
        return pack_texts(training, lambda: candidates_of(training, settings), settings)
    chosen = training.settings
    options = PackOptions(
        longest_side=max(LONGEST_SIDE, chosen["crop"] or 0),
        held_out_share=chosen["held_out"],
        most=chosen["images"],
        seed=chosen["seed"],
    )
    manifest = pack_images(training.source, training.pack, options, lambda: candidates_of(training, settings), settings)
    learnt, least = manifest["images"] - manifest["held_out"], max(FEWEST, chosen["batch_size"])
    if learnt < least:
        raise UserError(
            f"{learnt} of {manifest['images']} packed pictures are to learn from, after {manifest['duplicates']} that "
            f"look like others: at least {least} are needed, with batches of {chosen['batch_size']}"
        )
    return manifest


def take_in(name: str, settings: Settings) -> Training:
    """Record the figures of a finished training. Raises UserError if it is not finished."""
    training = read_training(name, settings)
    record = find_record(ObjectStore(settings), training.model) or {}
    if record.get("state") != FINISHED:
        raise UserError(f"training {name!r} is not finished: {record.get('reason') or 'see the log of its task'}")
    with connect(settings) as connection:
        trainings.write_figures(connection, name, record["figures"])
    return read_training(name, settings)


def register(name: str, settings: Settings) -> Training:
    """Record what the gate said; a model that passed is then known by its name, as `models switch` takes it.

    Raises UserError if the model was not judged, or cannot be known by its name; the training has failed then.
    """
    training = read_training(name, settings)
    report = _read_json(ObjectStore(settings), training.model + REPORT)
    if report is None:
        raise UserError(f"{training.model} holds no {REPORT}: the model was not judged yet")
    state: State = report["decision"]
    with connect(settings) as connection:
        trainings.write_gate(connection, name, report, state, report["reason"])
    if state == "passed":
        try:
            _make_known(training, settings)
        except UserError as error:
            if not isinstance(error, Unavailable):
                with connect(settings) as connection:
                    trainings.write_gate(connection, name, report, "failed", str(error))
            raise
    log.info("judged", training=name, decision=state, reason=report["reason"])
    return read_training(name, settings)


def _make_known(training: Training, settings: Settings) -> None:
    described = describe(model_folder(training.model, None, settings, weights=False))
    entry = ModelOptions(name=training.name, source=training.model)
    with connect(settings) as connection:
        models.register_model(connection, Collection(name="training", source=training.pack, model=entry), described)


def decide(name: str, decision: Decision, settings: Settings) -> None:
    """Record what a person said of a model."""
    with connect(settings) as connection:
        trainings.decide(connection, name, decision)


def close(name: str, run_id: str, settings: Settings) -> Training:
    """Record that a run has ended. Raises UserError if it came to no model, with the reason."""
    with connect(settings) as connection:
        training = trainings.find_training(connection, name)
        if training is None or training.run_id != run_id:
            raise UserError("no training was begun: see the log of the task `begin`")
        if training.state in UNDER_WAY:
            record = find_record(ObjectStore(settings), training.model) or {}
            state: State = "collapsed" if record.get("state") == COLLAPSED else "failed"
            reason = record.get("reason") or f"it ended while it was {training.state}"
            trainings.advance(connection, name, state, str(reason))
    training = read_training(name, settings)
    if training.state in ("collapsed", "failed"):
        raise UserError(f"training {name!r} {training.state}: {training.reason}")
    return training


def progress_of(training: Training, store: ObjectStore) -> Progress:
    """Where a training is, by the files in its folder."""
    record = find_record(store, training.model) or {}
    return {
        "state": record.get("state"),
        "figures": record.get("figures"),
        "losses": _read_json(store, training.model + LOSSES) or [],
    }


def gate_report(training: Training, store: ObjectStore) -> str:
    """The gate's report for a person, in Markdown; empty before the gate."""
    data = _read(store, training.model + REPORT_PAGE)
    return data.decode(errors="replace") if data else ""


def examples(training: Training, store: ObjectStore) -> bytes | None:
    """The gate's picture of queries and answers, a PNG; None before the gate."""
    return _read(store, training.model + REPORT_PICTURE)


def _read(store: ObjectStore, uri: str) -> bytes | None:
    try:
        return store.read(uri, limit=MOST_BYTES)
    except ObjectMissing:
        return None


def _read_json(store: ObjectStore, uri: str) -> Any:
    """The content of a file, or None if it is missing. Raises UserError if it is not JSON."""
    data = _read(store, uri)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError):
        raise UserError(f"{uri} is not JSON: clear the task that writes it") from None
