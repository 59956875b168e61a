"""Weights under new names, none left over."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch

from image_retrieval.errors import UserError
from image_retrieval.models.layouts.checkpoint import Weights

Name = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of the weights whose whole name matches: one name, or one for each of as many equal parts.

    A name is a template of `re.Match.expand`, or a function of the match. `transposed` turns a matrix around.
    """

    pattern: str
    into: Name | tuple[Name, ...]
    transposed: bool = False


def renamed(weights: Weights, rules: Iterable[Rule], unread: str, layout: str) -> dict[str, torch.Tensor]:
    """The weights under the names that the rules give, without those whose names begin with a match of `unread`.

    Raises UserError for a name that no rule has.
    """
    table = [(re.compile(rule.pattern), rule) for rule in rules]
    found: dict[str, torch.Tensor] = {}
    for name, values in weights.items():
        if re.match(unread, name):
            continue
        match, rule = next(((m, rule) for pattern, rule in table if (m := pattern.fullmatch(name))), (None, None))
        if match is None or rule is None:
            raise UserError(f"the weights hold {name}, which the layout {layout} has not: it is another network")
        into = rule.into if isinstance(rule.into, tuple) else (rule.into,)
        turned = values.T if rule.transposed else values
        parts = turned.chunk(len(into)) if len(into) > 1 else (turned,)
        for target, part in zip(into, parts, strict=True):
            found[match.expand(target) if isinstance(target, str) else target(match)] = part
    return found


def count(weights: Weights, pattern: str) -> int:
    """How many numbers stand at the group of a pattern, counted from 0 up to the greatest.

    Raises ValueError if one of them from 1 on is missing.
    """
    numbers = {int(match[1]) for name in weights if (match := re.match(pattern, name))}
    if numbers and len(numbers - {0}) != max(numbers):
        raise ValueError(f"the numbers of layers have gaps up to {max(numbers)}")
    return max(numbers) + 1 if numbers else 0


def heads_of(width: int) -> int:
    """Attention heads of a transformer of that width: of 64 channels each, but for the published larger ones."""
    return {1280: 16, 1408: 16, 1664: 16}.get(width, width // 64)
