"""Writes what a training has made into its folder: the model, as every part of image-retrieval loads it."""

import json
import tempfile
from pathlib import Path
from typing import Any

import structlog

from image_retrieval.models.calibration import FILE as CALIBRATION
from image_retrieval.models.chance import NotFitted
from image_retrieval.training.backbones import save
from image_retrieval.training.loop import Plan
from image_retrieval.training.model_card import CARD, Made, model_card
from image_retrieval.training.scoring import fitted_scores

log = structlog.get_logger()
LAST = "config.json"  # without it, a folder is no model


def write_model(plan: Plan, figures: dict[str, Any]) -> None:
    """Write the files of the model into the folder of a training; with the last one, it is a model."""
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        work = Path(name)
        save(plan.backbone, plan.objective.encoder, work, half=plan.options.half)
        scores = _scored(plan, work)
        made = Made(plan.out, plan.options, plan.recipe.rate, plan.backbone, plan.pack, figures, scores)
        (work / CARD).write_text(model_card(made), encoding="utf-8")
        for path in sorted(work.iterdir(), key=lambda path: (path.name == LAST, path.name)):
            plan.store.upload(path, plan.out + path.name)


def _scored(plan: Plan, work: Path) -> str:
    """Write the calibration beside the weights; returns what a search shows, in words, or why nothing was fitted."""
    try:
        found = fitted_scores(work, plan.pack, plan.store, str(plan.device))
    except NotFitted as error:
        log.warning("the scores were not fitted", reason=str(error))
        return f"not fitted: {error}"
    (work / CALIBRATION).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    (fit,) = found.values()
    return f"0.5 at cosine {fit['middle']:.3f}, fitted on {fit['source']}"
