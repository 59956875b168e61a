"""Judges a model on the held-out pictures of a packed set, and writes the report where people look for it."""

import json
from functools import partial
from pathlib import Path

from image_retrieval.collection import ModelOptions
from image_retrieval.models.towers import image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training.gate import BEFORE, TRAINED, GateReport, example_pictures, judge
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.report_card import card, draw_examples

COLUMNS = ("shard", "offset", "size", "held_out", "group_id", "phash", "thumbnail")


def run_gate(
    pack: str,
    model: ModelOptions,
    before: ModelOptions,
    out: Path | None,
    settings: Settings,
    device: str,
    *,
    seed: int,
) -> GateReport:
    """Judge `model` against `before`; with `out`, write gate.json, gate.md and gate.png into that folder.

    `pack` is a folder that ends in `/`. Raises UserError if it holds no complete set, a model cannot be loaded, or the
    folder cannot be written.
    """
    store = ObjectStore(settings)
    index = read_index(store, pack, COLUMNS)
    read = partial(read_pictures, store, pack, index)
    towers = {name: image_tower(one, settings, device) for name, one in ((TRAINED, model), (BEFORE, before))}
    report = judge(towers, index, read, seed=seed)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "gate.json").write_text(json.dumps(report.as_json(), indent=2) + "\n", encoding="utf-8")
        (out / "gate.md").write_text(card(report, before.source), encoding="utf-8")
        draw_examples([(example, example_pictures(example, report, index, read)) for example in report.examples]).save(
            out / "gate.png"
        )
    return report
