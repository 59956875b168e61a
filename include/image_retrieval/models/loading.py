"""Loads weights from a folder: only safetensors, and never code that comes with a model."""

from pathlib import Path

import torch
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from image_retrieval.errors import UserError

NOT_READ = ("pooler.", "embeddings.mask_token")
# what is left open is float32, unless quickest.py finds another one that agrees with it
DTYPES = {"auto": torch.float32, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def usable_device(name: str) -> torch.device:
    """The device of that name or rank. Raises UserError if it cannot be used."""
    try:
        device = torch.device(name if not name.isdigit() else f"cuda:{name}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r} cannot be used ({str(error).splitlines()[0]}): cpu, cuda or a rank") from None
    return device


def load_model(folder: Path, dtype: torch.dtype, *, without: tuple[str, ...] = ()) -> PreTrainedModel:
    """A folder's model on the CPU, `without` the named parts, which are not kept in memory.

    Raises UserError if it cannot be loaded, or its weights are incomplete.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # its report of missing weights; the relevant part is reported below
    try:
        loaded, report = AutoModel.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # each family's config has errors of its own
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"model {folder} does not load: {first[:300]}") from None
    # transformers fills missing weights with random numbers; pooler and mask token are not used
    unread = (*NOT_READ, *(f"{part}." for part in without))
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith(unread)):
        raise UserError(f"model {folder} does not load: its weights lack {missing[0]} and {len(missing) - 1} others")
    model: PreTrainedModel = loaded
    for part in without:
        if hasattr(model, part):
            setattr(model, part, None)
    model.eval()
    return model
