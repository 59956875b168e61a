"""Runs a training on pairs, from its options to a folder that the house loads as a model."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from safetensors.torch import save_file

from image_retrieval import __version__
from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS, ModelDescription, describe
from image_retrieval.models.digest import digest_of
from image_retrieval.models.loading import usable_device
from image_retrieval.models.source import model_folder
from image_retrieval.models.text_side import stated
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.settings import Settings
from image_retrieval.training.pairs.card import text_side_card
from image_retrieval.training.pairs.embedding import picture_vectors, text_vectors
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.paired import Paired, read_paired, require_enough, with_negatives
from image_retrieval.training.pairs.recall import as_json, both_ways
from image_retrieval.training.pairs.text_training import MOST_TOKENS, make_side, train_text_side
from image_retrieval.training.pairs.texts import Pair
from image_retrieval.training.pairs.tuning import tune
from image_retrieval.training.pairs.vocabulary import make_tokenizer
from image_retrieval.training.records import RECORD

log = structlog.get_logger()
KEPT = ("config.json", "preprocessor_config.json", "processor_config.json", "calibration.json", "*.safetensors*")


def train_pairs(
    options: PairOptions,
    out: Path,
    settings: Settings,
    device: str,
    pairs: Sequence[Pair] | None = None,
    general_pairs: Sequence[Pair] | None = None,
    negatives: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Train on the pairs; the new folder `out` becomes the model. Where pairs are None, the packs' captions count.

    `negatives`: by image id, pictures that look alike and are not, of which one comes next to each picture. Returns
    figures. A fine-tuned model that is refused is not written. Raises UserError before anything expensive starts.
    """
    usable_device(device)
    store = ObjectStore(settings)
    folder, described = require_start(options, out, settings)
    paired = read_paired(store, options.pack, pairs)
    require_enough(paired)
    if negatives is not None:
        paired = with_negatives(paired, negatives)
    general = read_paired(store, options.general, general_pairs) if options.general else None
    if general and not len(general.index):
        raise UserError(f"{options.general} has no picture with a text: a general set needs them to judge by")
    with _new_folder(out) as made:
        if described.image_family == "dual_encoder":
            figures = tune(options, folder, described, paired, general, store, made, device)
        else:
            figures = _add_text_side(options, folder, described, paired, store, made, device)
        record = {"settings": asdict(options), "state": "finished", "version": __version__, "figures": figures}
        (made / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return figures


def require_start(options: PairOptions, out: Path, settings: Settings) -> tuple[Path, ModelDescription]:
    """The start's folder and what it is. Raises UserError if the options are not for it, or `out` is not new."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty: give a new folder for the trained model")
    folder = model_folder(options.start, options.revision, settings)
    described = describe(folder)
    wanted = {"--general": options.general, "--text-only": options.text_only, "--negatives": options.negatives}
    if described.image_family != "dual_encoder" and any(wanted.values()):
        name = next(flag for flag, value in wanted.items() if value)
        raise UserError(
            f"{name} is for dual encoders: {options.start} is of type {described.model_type!r}, gets a text side, and "
            "has nothing to lose"
        )
    return folder, described


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` if it is a model at the end. Raises UserError if it cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-", ignore_cleanup_errors=True) as scratch:
            made = Path(scratch, "model")
            made.mkdir()
            yield made
            if (made / "config.json").is_file():
                made.replace(out)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror or error}") from None


def _add_text_side(
    options: PairOptions,
    folder: Path,
    described: ModelDescription,
    paired: Paired,
    store: ObjectStore,
    made: Path,
    device: str,
) -> dict[str, Any]:
    """Write the model with a text side into `made`; returns figures."""
    tower = load_image_tower(folder, dtype="float32", device=device, use_cls_token=True)
    vectors = picture_vectors(tower, paired, store)
    learnt = sorted({text for at in paired.learnt for text in paired.texts.of_pictures[at].tolist()})
    tokenizer = make_tokenizer([paired.texts.texts[at] for at in learnt], made, MOST_TOKENS)
    side = make_side(len(tokenizer), described.dimensions)
    log.info("training", pictures=len(paired.learnt), texts=len(learnt), words=len(tokenizer))
    network, losses = train_text_side(side, tokenizer, paired.texts, vectors, paired.learnt, options, tower.device)
    for path in sorted({path for name in KEPT for path in folder.glob(name)} - {folder / TEXT_WEIGHTS}):
        shutil.copyfile(path, made / path.name)
    tokenizer.save_pretrained(made)
    weights = {name: values.contiguous() for name, values in network.state_dict().items()}
    save_file(weights, made / TEXT_WEIGHTS, metadata={"format": "pt"})
    (made / TEXT_SIDE).write_text(json.dumps(stated(side), indent=2) + "\n", encoding="utf-8")
    if digest_of(made) != tower.digest:
        raise UserError(f"the files of model {options.start!r} changed during the training: begin again")
    of_texts = text_vectors(load_text_tower(made, dtype="float32", device=device), paired.texts.texts)
    everything = np.arange(len(paired.index))
    figures = {
        "kind": "text_side",
        "learnt": len(paired.learnt),
        "held_out": len(paired.held_out),
        "texts": len(paired.texts.texts),
        "losses": [round(loss, 4) for loss in losses],
        "among_held_out": as_json(both_ways(paired.texts, of_texts, vectors, paired.held_out, paired.held_out)),
        "among_all": as_json(both_ways(paired.texts, of_texts, vectors, paired.held_out, everything)),
    }
    (made / "README.md").write_text(text_side_card(options, folder, figures), encoding="utf-8")
    return figures
