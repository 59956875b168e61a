"""Loads weights from a folder: only safetensors, and never code that comes with a model."""

import re
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_WEIGHTS, read_config
from image_retrieval.models.json_file import read_mapping
from image_retrieval.models.plausible import require_plausible, sizes_of, within

WEIGHTS = "model.safetensors"
NOT_READ = ("pooler.", "encoder.pooler.", "embeddings.mask_token")
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


def load_model(
    folder: Path, dtype: torch.dtype, *, without: tuple[str, ...] = (), kind: Any = AutoModel
) -> PreTrainedModel:
    """A folder's model on the CPU, `without` the named parts, which are not kept in memory.

    `kind`: the class of transformers that chooses the network by the config. Raises UserError if it cannot be loaded,
    or its weights are incomplete.
    """
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # its report of missing weights; the relevant part is reported below
    try:
        stated, sizes = read_config(folder), sizes_of(_files(folder))
        require_plausible(stated, len(sizes))
        config = _config(stated)
        with within(sizes):
            kind.from_config(config, trust_remote_code=False)
        loaded, report = kind.from_pretrained(
            str(folder),
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # each family's config has errors of its own
        told = " ".join(str(error).split()) or type(error).__name__
        if "ignore_mismatched_sizes" in told:  # it refers to a report that is not shown
            told = "its weights have other shapes than config.json states"
        raise UserError(f"model {folder} does not load: {told[:300]}") from None
    # transformers fills missing weights with random numbers; pooler and mask token are not used
    unread = (*NOT_READ, *(f"{part}." for part in without))
    if missing := sorted(name for name in report["missing_keys"] if not name.startswith(unread)):
        raise UserError(f"model {folder} does not load: its weights lack {missing[0]} and {len(missing) - 1} others")
    model: PreTrainedModel = loaded
    known = {_anywhere(name) for name in model.state_dict()}
    if beyond := sorted(name for name in report["unexpected_keys"] if _anywhere(name) in known):
        raise UserError(f"model {folder} does not load: its weights hold {beyond[0]}, a layer that config.json has not")
    for part in without:
        if hasattr(model, part):
            setattr(model, part, None)
    model.eval()
    return model


def _files(folder: Path) -> list[Path]:
    """The files of weights that transformers reads. Raises UserError if there are none, or an index names others."""
    index, found = folder / f"{WEIGHTS}.index.json", sorted(set(folder.glob("*.safetensors")) - {folder / TEXT_WEIGHTS})
    if not found:
        raise UserError("there is no safetensors file")
    if (folder / WEIGHTS).is_file() or not index.is_file():
        return found
    held = read_mapping(index).get("weight_map")
    if not isinstance(held, dict) or not {str(file) for file in held.values()} <= {path.name for path in found}:
        raise UserError(f"{index.name} names files that are not in its folder")
    return found


def _config(stated: dict[str, Any]) -> PreTrainedConfig:
    """A config without what would choose code other than transformers' own."""
    if "quantization_config" in stated:
        raise UserError("its weights are quantized, which are not read: take those of float16 or float32")
    config: PreTrainedConfig = CONFIG_MAPPING[stated["model_type"]].from_dict(_without_code(stated))
    return config


def _anywhere(name: str) -> str:
    """A weight's name without the number of its layer."""
    return re.sub(r"\d+", "N", name)


def _without_code(stated: Any) -> Any:
    if isinstance(stated, dict):
        kept = {key: value for key, value in stated.items() if key != "auto_map" and "implementation" not in key}
        return {key: _without_code(value) for key, value in kept.items()}
    return stated
