"""Files of weights into memory: tensors and nothing else, whatever a file holds."""

import re
import struct
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from image_retrieval.errors import UserError
from image_retrieval.models.plausible import MOST_TENSORS, require_names, sizes_of

# under which training programs keep the weights, beside epochs and optimizers
NESTED = ("state_dict", "model_state_dict", "model", "module", "teacher")
MOST_NESTED = 4  # such dicts within each other
MOST_PICKLED = 2**26  # bytes of names, shapes and what a training program notes
# without complex numbers and those of which torch knows the bits alone: no model has such weights
NUMBERS = {
    torch.bool,
    torch.uint8,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
}
MOST_TIMES = 3  # tensors may share their numbers, but not so that a small file fills the memory


def read_weights(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The tensors of a model's files by name, on the CPU.

    Pickled files are read by torch's own unpickler of tensors, which runs no code. Raises UserError where a file is
    broken, or holds anything else among the weights.
    """
    weights: dict[str, torch.Tensor] = {}
    for path in paths:
        read = _of_safetensors if path.suffix == ".safetensors" else _of_pickle
        weights |= read(path)
    if not weights:
        raise UserError(f"{paths[0].name} holds no weights")
    return weights


def _of_safetensors(path: Path) -> dict[str, torch.Tensor]:
    sizes_of([path])
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read: {_line(error)}") from None


def _of_pickle(path: Path) -> dict[str, torch.Tensor]:
    _require_small_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of the file, the error below says in one line
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken file may raise anything; nothing that it names was called
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            told = f"it holds pickled objects beyond tensors ({named[1][:80]}), which are not read: they may run code"
        elif "TorchScript" in str(error):
            told = "it is a TorchScript program, which is not read: save its state_dict"
        else:
            told = f"it is broken, or no file of tensors ({type(error).__name__})"
        raise UserError(f"{path.name} cannot be read: {told}") from None
    return _tensors(found, path)


def _require_small_archive(path: Path) -> None:
    """Raise UserError if a zip archive, as torch writes one, would become far larger than it is, or keep torch busy."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise UserError(f"{path.name} cannot be read: {_line(error)}") from None
    size = sum(entry.file_size for entry in entries)
    if size > MOST_TIMES * path.stat().st_size:
        raise UserError(f"{path.name} would become {size:,} bytes, more than it can hold: it is no file of torch")
    if len(entries) > MOST_TENSORS:
        raise UserError(f"{path.name} holds {len(entries):,} parts: at most {MOST_TENSORS:,} are read")
    if any(entry.file_size > MOST_PICKLED for entry in entries if entry.filename.endswith("data.pkl")):
        raise UserError(f"{path.name} holds objects of more than {MOST_PICKLED:,} bytes beside its tensors")


def _tensors(found: Any, path: Path) -> dict[str, torch.Tensor]:
    for _ in range(MOST_NESTED):
        found = found if (inner := _nested(found)) is None else inner
    if not isinstance(found, dict):
        raise UserError(f"{path.name} holds a {type(found).__name__} instead of weights by name")
    for name, values in found.items():
        if not isinstance(name, str) or not isinstance(values, torch.Tensor):
            raise UserError(f"{path.name} holds {str(name)[:80]!r}, which is no tensor: only tensors are read")
        if not _is_plain(values):
            raise UserError(
                f"{path.name} holds {name[:80]!r}, which is sparse, quantized, complex or without numbers: only plain "
                "tensors are read"
            )
    require_names(list(found), path.name)
    size = sum(values.numel() * values.element_size() for values in found.values())
    if size > MOST_TIMES * path.stat().st_size:
        raise UserError(f"{path.name} claims tensors of {size:,} bytes, more than it can hold")
    return {name: values.detach() for name, values in found.items()}


def _is_plain(values: torch.Tensor) -> bool:
    if values.is_nested or values.is_meta or values.is_quantized:
        return False
    return values.layout == torch.strided and values.dtype in NUMBERS


def _nested(found: Any) -> Any:
    """What lies within what a training program saved; None where these are the weights themselves."""
    if not isinstance(found, dict):
        return None
    return next((found[key] for key in NESTED if isinstance(found.get(key), dict)), None)


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
