"""Judges a model on the held-out pictures of a packed set, and writes the report where people look for it."""

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from image_retrieval.collection import ModelOptions
from image_retrieval.models.towers import image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training.gate import BEFORE, START, TRAINED, GateReport, Reader, example_pictures, judge
from image_retrieval.training.model_card import CARD, with_gate
from image_retrieval.training.options import RANDOM
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.records import (
    RECORD,
    REPORT,
    REPORT_PAGE,
    REPORT_PICTURE,
    is_of_pairs,
    options_of,
    pair_options_of,
    read_record,
)
from image_retrieval.training.report_card import card, draw_examples

COLUMNS = ("shard", "offset", "size", "held_out", "group_id", "phash", "thumbnail")


def run_gate(
    pack: str,
    model: ModelOptions,
    before: ModelOptions,
    out: str | None,
    settings: Settings,
    device: str,
    *,
    seed: int,
) -> GateReport:
    """Judge `model` against `before`; with `out`, write gate.json, gate.md and gate.png into that folder.

    A trained model's start is measured beside them, if it is another model than `before`. The decision goes into the
    trained model's card, too. `pack` and `out` are folders that end in `/`, of any store.
    Raises UserError if `pack` holds no complete set, a model cannot be loaded, or the folder cannot be written.
    """
    store = ObjectStore(settings)
    index = read_index(store, pack, COLUMNS)
    read = partial(read_pictures, store, pack, index)
    folder = trained_folder(model.source, store, settings)
    models = {TRAINED: model, BEFORE: before}
    if folder and (start := _start(read_record(store, folder), folder, before)):
        models[START] = start
    towers = {name: image_tower(one, settings, device) for name, one in models.items()}
    report = judge(towers, index, read, seed=seed)
    told = card(report, {name: one.source for name, one in models.items()})
    if out is not None:
        store.write(out + REPORT, (json.dumps(report.as_json(), indent=2) + "\n").encode())
        store.write(out + REPORT_PAGE, told.encode())
        store.write(out + REPORT_PICTURE, _examples(report, index, read))
    if folder and store.exists(folder + CARD):
        own = store.read(folder + CARD).decode(errors="replace")
        store.write(folder + CARD, with_gate(own, told).encode())
    return report


def trained_folder(model: str, store: ObjectStore, settings: Settings) -> str | None:
    """The folder of a model, ending in `/`, if a training has made it; else None."""
    place = model if "://" in model else str(Path(settings.home, model))
    folder = f"{place.rstrip('/')}/"
    return folder if store.exists(folder + RECORD) else None


def report_folder(model: str, settings: Settings) -> str | None:
    """Where a model's report goes unless told: its own folder, if that is on this machine or a training's.

    None if the folder has the report of a training on texts.
    """
    store, folder = ObjectStore(settings), Path(settings.home, model)
    trained = trained_folder(model, store, settings)
    if trained and is_of_pairs(read_record(store, trained)):
        return None
    return f"{folder}/" if "://" not in model and folder.is_dir() else trained


def _start(record: dict[str, Any], folder: str, before: ModelOptions) -> ModelOptions | None:
    """The model that a training started from; None if it has started from nothing, or from `before`."""
    options = (pair_options_of if is_of_pairs(record) else options_of)(record, folder)
    if options.start == RANDOM or (options.start, options.revision) == (before.source, before.revision):
        return None
    return ModelOptions(name=START, source=options.start, revision=options.revision)


def _examples(report: GateReport, index: pa.Table, read: Reader) -> bytes:
    """A picture of the examples, as a PNG."""
    file = io.BytesIO()
    shown = [(example, example_pictures(example, report, index, read)) for example in report.examples]
    draw_examples(shown).save(file, "PNG")
    return file.getvalue()
