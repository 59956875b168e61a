"""Finds the parts of a model of options, to tell what is allowed there."""

from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel


def part_at(model: type[BaseModel], keys: Sequence[str | int]) -> type[BaseModel]:
    """The model of options under these keys, one below another."""
    for key in keys:
        annotation = model.model_fields[str(key)].annotation
        kinds = (annotation, *get_args(annotation))
        model = next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
    return model
