"""Judges a model on the held-out pictures of a packed set, and writes the report where people look for it."""

import io
import json
from functools import partial
from pathlib import Path

import pyarrow as pa

from image_retrieval.collection import ModelOptions
from image_retrieval.models.towers import image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training.gate import BEFORE, TRAINED, GateReport, Reader, example_pictures, judge
from image_retrieval.training.model_card import CARD, with_gate
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.records import RECORD, REPORT, REPORT_PAGE, REPORT_PICTURE
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

    The decision goes into the card of a trained model, too. `pack` and `out` are folders that end in `/`, of any store.
    Raises UserError if `pack` holds no complete set, a model cannot be loaded, or the folder cannot be written.
    """
    store = ObjectStore(settings)
    index = read_index(store, pack, COLUMNS)
    read = partial(read_pictures, store, pack, index)
    towers = {name: image_tower(one, settings, device) for name, one in ((TRAINED, model), (BEFORE, before))}
    report = judge(towers, index, read, seed=seed)
    told = card(report, before.source)
    if out is not None:
        store.write(out + REPORT, (json.dumps(report.as_json(), indent=2) + "\n").encode())
        store.write(out + REPORT_PAGE, told.encode())
        store.write(out + REPORT_PICTURE, _examples(report, index, read))
    if (trained := trained_folder(model.source, store, settings)) and store.exists(trained + CARD):
        own = store.read(trained + CARD).decode(errors="replace")
        store.write(trained + CARD, with_gate(own, told).encode())
    return report


def trained_folder(model: str, store: ObjectStore, settings: Settings) -> str | None:
    """The folder of a model, ending in `/`, if a training has made it; else None."""
    place = model if "://" in model else str(Path(settings.home, model))
    folder = f"{place.rstrip('/')}/"
    return folder if store.exists(folder + RECORD) else None


def report_folder(model: str, settings: Settings) -> str | None:
    """Where a model's report goes unless told: its own folder, if that is on this machine or a training's."""
    folder = Path(settings.home, model)
    if "://" not in model and folder.is_dir():
        return f"{folder}/"
    return trained_folder(model, ObjectStore(settings), settings)


def _examples(report: GateReport, index: pa.Table, read: Reader) -> bytes:
    """A picture of the examples, as a PNG."""
    file = io.BytesIO()
    shown = [(example, example_pictures(example, report, index, read)) for example in report.examples]
    draw_examples(shown).save(file, "PNG")
    return file.getvalue()
