"""Checkpoints: all that a training needs to go on at the step where it was."""

import os
from pathlib import Path
from typing import Any

import torch

from image_retrieval.errors import UserError

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint completely or not at all; it replaces the former one."""
    partial = folder / f".{NAME}.partial"
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / NAME)


def load_checkpoint(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """The checkpoint of a folder, of which no code is run; None if there is none. Raises UserError if it is broken."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        found = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds
        told = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a checkpoint of a training ({told}): train into another folder") from None
    if not isinstance(found, dict) or "step" not in found:
        raise UserError(f"{path} is not a checkpoint of a training: train into another folder")
    return found
