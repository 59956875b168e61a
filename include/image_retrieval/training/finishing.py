"""Writes what a training has made into its folder: the model, as every part of image-retrieval loads it."""

import tempfile
from pathlib import Path

from image_retrieval.training.backbones import save
from image_retrieval.training.loop import Plan

LAST = "config.json"  # without it, a folder is no model


def write_model(plan: Plan) -> None:
    """Write the files of the model into the folder of a training; with the last one, it is a model."""
    with tempfile.TemporaryDirectory(prefix="training-") as work:
        save(plan.backbone, plan.objective.encoder, Path(work), half=plan.options.half)
        for path in sorted(Path(work).iterdir(), key=lambda path: (path.name == LAST, path.name)):
            plan.store.upload(path, plan.out + path.name)
