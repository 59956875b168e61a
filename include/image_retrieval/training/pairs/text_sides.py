"""Trains a text side for a model of pictures, judges it, and writes the model with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from safetensors.torch import save_file

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_SIDE, TEXT_WEIGHTS, ModelDescription
from image_retrieval.models.digest import digest_of
from image_retrieval.models.text_side import stated
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.training.loop import Outcome
from image_retrieval.training.pairs.card import text_side_card
from image_retrieval.training.pairs.course import Course, learn
from image_retrieval.training.pairs.embedding import picture_vectors, text_vectors
from image_retrieval.training.pairs.recall import as_json, both_ways
from image_retrieval.training.pairs.text_training import MOST_TOKENS, TextTraining, make_side
from image_retrieval.training.pairs.verdict import on_text_side
from image_retrieval.training.pairs.vocabulary import make_tokenizer

log = structlog.get_logger()
KEPT = ("config.json", "preprocessor_config.json", "processor_config.json", "calibration.json", "*.safetensors*")


def add_text_side(
    course: Course, folder: Path, described: ModelDescription, made: Path, device: str
) -> tuple[Outcome, dict[str, Any]]:
    """Train, and write the model with a text side into `made`, unless it is refused.

    Returns the report, which is empty if it stopped.
    """
    paired = course.paired
    tower = load_image_tower(folder, dtype="float32", device=device, use_cls_token=True)
    vectors = picture_vectors(tower, paired, course.store)
    texts = paired.learnt_texts
    tokenizer = make_tokenizer([paired.texts.texts[at] for at in texts], made, MOST_TOKENS)
    side = make_side(len(tokenizer), described.dimensions)
    log.info("training", pictures=len(paired.learnt), texts=len(texts), words=len(tokenizer))
    learner = TextTraining(side, tokenizer, vectors, course, tower.device)
    outcome = learn(course, learner)
    if not outcome.finished:
        return outcome, {}
    for path in sorted({path for name in KEPT for path in folder.glob(name)} - {folder / TEXT_WEIGHTS}):
        shutil.copyfile(path, made / path.name)
    tokenizer.save_pretrained(made)
    weights = {name: values.contiguous() for name, values in learner.trained().state_dict().items()}
    save_file(weights, made / TEXT_WEIGHTS, metadata={"format": "pt"})
    (made / TEXT_SIDE).write_text(json.dumps(stated(side), indent=2) + "\n", encoding="utf-8")
    if digest_of(made) != tower.digest:
        raise UserError(f"the files of model {course.options.start!r} changed during the training: begin again")
    of_texts = text_vectors(load_text_tower(made, dtype="float32", device=device), paired.texts.texts)
    among_held_out = both_ways(paired.texts, of_texts, vectors, paired.held_out, paired.held_out)
    among_all = both_ways(paired.texts, of_texts, vectors, paired.held_out, np.arange(len(paired.index)))
    verdict = on_text_side(among_held_out, len(paired.held_out))
    report = {
        "kind": "text_side",
        "decision": verdict.decision,
        "reason": verdict.reason,
        "learnt": len(paired.learnt),
        "held_out": len(paired.held_out),
        "texts": len(paired.texts.texts),
        "after": {"held_out": as_json(among_held_out), "all": as_json(among_all)},
    }
    (made / "README.md").write_text(text_side_card(course.options, folder, report), encoding="utf-8")
    return outcome, report
