"""What a person decides about a training, and where it is written down. Needs no torch."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from image_retrieval.errors import UserError
from image_retrieval.models.json_file import read_mapping

Method = Literal["continue", "moco", "moby", "swav"]
Precision = Literal["float32", "bfloat16", "float16"]
METHODS: tuple[Method, ...] = get_args(Method)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
RANDOM = "random"
BACKBONES = ("vit_mini", "vit_tiny", "vit_small", "vit_base", "resnet18", "resnet50", "swin_tiny")
RECORD = "training.json"
# of hosted platforms' forms
EPOCHS, BATCH_SIZE, CHECKPOINT_EVERY, READERS = 80, 64, 10, 4


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Of one training. `start` is a model's source or RANDOM, `backbone` goes with the latter.

    `batch_size`: pictures a step, of all processes together; they go through the network in `accumulate` parts. `rate`
    is for batches of 256, `crop` the side of views; where they are None, they are the method's and the start's own.
    """

    pack: str
    method: Method
    start: str
    revision: str | None = None
    backbone: str | None = None
    epochs: int = EPOCHS
    batch_size: int = BATCH_SIZE
    rate: float | None = None
    crop: int | None = None
    checkpoint_every: int = CHECKPOINT_EVERY
    precision: Precision = "float32"
    seed: int = 0
    readers: int = READERS
    accumulate: int = 1
    gradient_checkpointing: bool = False
    half: bool = False


def begin_record(out: Path, options: TrainingOptions) -> None:
    """Write the options into a folder, made where it is missing. Raises UserError if another training is there."""
    path = out / RECORD
    if path.is_file():
        if read_options(out) != options:
            raise UserError(f"{out} holds a training with other settings: give another folder")
        raise UserError(f"{out} holds this training: `image-retrieval training resume {out}` goes on with it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty: give a new folder for the trained model")
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}") from None
    write_record(out, {"settings": asdict(options), "state": "running"})


def read_options(out: Path) -> TrainingOptions:
    """The options of the training in a folder. Raises UserError if there is none."""
    stated = read_record(out).get("settings")
    known = {field.name for field in fields(TrainingOptions)}
    if not isinstance(stated, dict) or set(stated) != known:
        raise UserError(f"{out / RECORD} holds no settings of this version: train into another folder")
    return TrainingOptions(**stated)


def read_record(out: Path) -> dict[str, Any]:
    """What is known of the training in a folder. Raises UserError if there is none."""
    if not (out / RECORD).is_file():
        raise UserError(f"{out} holds no training: `image-retrieval training run` begins one")
    return read_mapping(out / RECORD)


def write_record(out: Path, record: dict[str, Any]) -> None:
    """Write what is known of a training, completely or not at all."""
    partial = out / f".{RECORD}.partial"
    partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    partial.replace(out / RECORD)


def update_record(out: Path, **found: Any) -> None:
    """Add to what is known of the training in a folder."""
    write_record(out, read_record(out) | found)
