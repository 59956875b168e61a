"""The record of a training, `training.json`, in the folder that becomes the model; of any store. Needs no torch."""

import json
from dataclasses import asdict, fields
from typing import Any, TypeVar

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.pairs.options import PAIR_METHODS, PairOptions

RECORD = "training.json"
CHECKPOINT = "checkpoint.pt"
LOSSES = "losses.json"
REPORT, REPORT_PAGE, REPORT_PICTURE = "gate.json", "gate.md", "gate.png"  # of the gate
# where a training is
RUNNING, STOPPED, COLLAPSED, FAILED, FINISHED = "running", "stopped", "collapsed", "failed", "finished"
TOKEN = "token"  # the fact that tells which process trains: the latest to begin
MOST_BYTES = 2**24  # of a record
Options = TrainingOptions | PairOptions
Kind = TypeVar("Kind", bound=Options)
FLAGS = {"rate": "lr"}  # where an option of the command has another name than the setting


class TakenOver(UserError):
    """Another process goes on with the training of a folder, or it was dropped: this one has to end."""


def require_own(store: ObjectStore, out: str, token: str) -> None:
    """Raise TakenOver if the record of a folder has another process's token, or is gone."""
    record = find_record(store, out)
    if record is None:
        raise TakenOver(f"the training in {out} was dropped: this process has ended")
    if record.get(TOKEN, token) != token:
        raise TakenOver(f"another process goes on with the training in {out}: this one has ended")


def find_record(store: ObjectStore, out: str) -> dict[str, Any] | None:
    """What is known of the training in a folder that ends in `/`; None if there is none. Raises UserError."""
    if not store.exists(out + RECORD):
        return None
    try:
        found = json.loads(store.read(out + RECORD, limit=MOST_BYTES))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError(f"{out}{RECORD} is not the record of a training: train into another folder")
    return found


def read_record(store: ObjectStore, out: str) -> dict[str, Any]:
    """What is known of the training in a folder. Raises UserError if there is none."""
    found = find_record(store, out)
    if found is None:
        raise UserError(f"{out} holds no training: `image-retrieval training run` begins one")
    return found


def options_of(record: dict[str, Any], out: str) -> TrainingOptions:
    """The options of a record of `training run`. Raises UserError if they are not of this version."""
    return _options(record, out, TrainingOptions)


def pair_options_of(record: dict[str, Any], out: str) -> PairOptions:
    """The options of a record of `training pairs`. Raises UserError if they are not of this version."""
    return _options(record, out, PairOptions)


def _options(record: dict[str, Any], out: str, kind: type[Kind]) -> Kind:
    stated, known = record.get("settings"), {field.name for field in fields(kind)}
    if not isinstance(stated, dict) or set(stated) != known:
        raise UserError(f"{out}{RECORD} holds no settings of this version: train into another folder")
    return kind(**stated)


def is_of_pairs(record: dict[str, Any]) -> bool:
    """Whether a record is that of a training on pictures with texts."""
    stated = record.get("settings")
    return isinstance(stated, dict) and stated.get("method") in PAIR_METHODS


def require_same(options: Options, record: dict[str, Any], out: str) -> None:
    """Raise UserError that names a setting in which a training that was begun differs from the options."""
    begun = _options(record, out, type(options))
    for name, value in asdict(options).items():
        if (former := getattr(begun, name)) != value:
            flag = FLAGS.get(name, name).replace("_", "-")
            raise UserError(
                f"{out} holds a training with other settings: {flag} is {former!r} there, and {value!r} here: "
                "give another folder, or the same settings"
            )


def require_empty(store: ObjectStore, out: str) -> None:
    """Raise UserError if there is anything under a folder."""
    if found := next(iter(store.pages(out, missing_ok=True)), []):
        raise UserError(f"{out} is not empty: it holds {found[0].key!r}; give a new folder for the trained model")


def begin_record(store: ObjectStore, out: str, options: Options, **known: Any) -> None:
    """Write the record of a new training. Raises UserError if the folder cannot be written."""
    _write(store, out, {"settings": asdict(options), "state": RUNNING, **known})


def update_record(store: ObjectStore, out: str, **found: Any) -> None:
    """Add to what is known of the training in a folder; None takes a fact away."""
    known = read_record(store, out) | found
    _write(store, out, {name: value for name, value in known.items() if value is not None})


def _write(store: ObjectStore, out: str, record: dict[str, Any]) -> None:
    store.write(out + RECORD, (json.dumps(record, indent=2) + "\n").encode())
