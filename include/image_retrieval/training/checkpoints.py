"""Checkpoints: all that a training needs to go on at the step where it was."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.records import CHECKPOINT

AT_ONCE = 2**22  # bytes that are copied at a time


def save_checkpoint(store: ObjectStore, out: str, state: dict[str, Any]) -> None:
    """Write a checkpoint into a folder that ends in `/`; once it is whole, it replaces the former one."""
    with tempfile.TemporaryDirectory(prefix="training-") as work:
        path = Path(work, CHECKPOINT)
        torch.save(state, path)
        store.upload(path, out + CHECKPOINT)


def load_checkpoint(store: ObjectStore, out: str, device: torch.device) -> dict[str, Any] | None:
    """The checkpoint of a folder, of which no code is run; None if there is none. Raises UserError if it is broken."""
    uri = out + CHECKPOINT
    if not store.exists(uri):
        return None
    with tempfile.TemporaryDirectory(prefix="training-") as work:
        path = Path(work, CHECKPOINT)
        with store.open(uri) as stream, path.open("wb") as file:
            shutil.copyfileobj(stream, file, AT_ONCE)
        try:
            found = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # torch raises many kinds
            told = " ".join(str(error).split())[:200]
            raise UserError(f"{uri} is not a checkpoint of a training ({told}): train into another folder") from None
    if not isinstance(found, dict) or "step" not in found:
        raise UserError(f"{uri} is not a checkpoint of a training: train into another folder")
    return found
