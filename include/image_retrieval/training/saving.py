"""Saves a trained model."""

from pathlib import Path

from transformers import PreTrainedModel
from transformers.utils import logging


def save_half(model: PreTrainedModel, folder: Path) -> None:
    """Write config.json and model.safetensors, in half precision."""
    save_model(model, folder, half=True)


def save_model(model: PreTrainedModel, folder: Path, *, half: bool) -> None:
    """Write config.json and model.safetensors, in half precision if `half`."""
    logging.disable_progress_bar()
    (model.eval().half() if half else model.eval()).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # transformers leaves it to its owner
