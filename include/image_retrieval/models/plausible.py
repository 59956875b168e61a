"""Whether a model's config can belong to its weights: a few bytes of it may ask for any memory and any time."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch.nn.modules import module as of_modules

from image_retrieval.errors import UserError

MOST_TENSORS = 100_000
MOST_LETTERS = 300
MOST_NUMBER = 2**20  # of whatever a config counts
MOST_TIMES, SPARE = 4, 2**24  # a network may have parts that a checkpoint lacks: poolers, the other tower
MODULES_PER_TENSOR, SPARE_MODULES = 20, 1000
COUNTS = re.compile(r"num_|_(?:size|dim|ratio|positions|length)$|patches|tokens|heads|channels|depth|layers|repeats")
LAYERS = re.compile(r"(?:layers|depths?|repeats)$")


def require_names(names: Sequence[str], file: str) -> None:
    """Raise UserError if tensors have names that no program gives them, or if there are too many."""
    if len(names) > MOST_TENSORS:
        raise UserError(f"{file} holds {len(names):,} tensors: at most {MOST_TENSORS:,} are read")
    if odd := next((name for name in names if len(name) > MOST_LETTERS or not name.isprintable()), None):
        raise UserError(f"{file} holds a tensor with the name {odd[:80]!r}, which no program gives one")


def sizes_of(paths: Sequence[Path]) -> dict[str, int]:
    """How many numbers each tensor of safetensors files has, by the files' heads alone. Raises UserError."""
    found: dict[str, int] = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                names = list(file.keys())
                require_names(names, path.name)
                found |= {name: torch.Size(file.get_slice(name).get_shape()).numel() for name in names}
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{path.name} cannot be read: {' '.join(str(error).split())[:200]}") from None
    return found


def require_plausible(config: Any, tensors: int, name: str = "") -> None:
    """Raise UserError if a config counts more than any model has, or more layers than there are tensors."""
    if isinstance(config, dict):
        for key, value in config.items():
            require_plausible(value, tensors, str(key))
    elif isinstance(config, list):
        for value in config:
            require_plausible(value, tensors, name)
    elif isinstance(config, int | float) and not isinstance(config, bool) and COUNTS.search(name):
        least, most = int(name == "num_hidden_layers"), tensors if LAYERS.search(name) else MOST_NUMBER
        if not least <= config <= most:
            raise UserError(f"config.json states {name[:80]!r} of {config:g}, which its weights cannot have")


@contextmanager
def within(sizes: dict[str, int]) -> Iterator[None]:
    """Let a network be built by this thread, without memory, as long as it can belong to weights of these sizes.

    Raises UserError as soon as it has far more parts or numbers than they.
    """
    numbers = MOST_TIMES * sum(sizes.values()) + SPARE
    modules = MODULES_PER_TENSOR * len(sizes) + SPARE_MODULES
    own, made = threading.get_ident(), {"numbers": 0, "modules": 0}

    def count(kind: str, added: int, most: int) -> None:
        if threading.get_ident() == own:
            made[kind] += added
            if made[kind] > most:
                raise UserError(
                    f"config.json states a network of more than {most:,} {kind}, which its weights do not fit"
                )

    def tensor(_: Any, __: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            count("numbers", value.numel(), numbers)

    def module(*_: Any) -> None:
        count("modules", 1, modules)

    hooks = (
        of_modules.register_module_parameter_registration_hook(tensor),
        of_modules.register_module_buffer_registration_hook(tensor),
        of_modules.register_module_module_registration_hook(module),
    )
    try:
        with torch.device("meta"):
            yield
    finally:
        for hook in hooks:
            hook.remove()
