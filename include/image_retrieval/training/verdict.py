"""Decides whether a trained model may replace another one, from figures on held-out pictures.

The first rule that fits decides:

1. Refused: held-out pictures have copies among those that it learnt from.
2. Undecided: fewer than 100 pictures are held out.
3. Refused: it finds fewer originals, or fewer pictures of a group, and the difference is significant.
4. Passed: it finds more of one of the two, and the difference is significant.
5. Undecided otherwise.

A difference is significant if zero lies outside of its interval of 95 %, over the queries that both models answered.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Decision = Literal["passed", "refused", "undecided"]
LEAST = 100  # held-out pictures
NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better the trained model is on average, and the bounds of the interval of 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and its reason, in one line."""

    decision: Decision
    reason: str


def difference(trained: NDArray[np.float64], other: NDArray[np.float64]) -> Difference | None:
    """The difference of two models' answers (n,) to the same queries; None of fewer than two queries."""
    if len(trained) < 2:
        return None
    each = trained - other
    mean, error = float(each.mean()), float(each.std(ddof=1)) / len(each) ** 0.5
    return Difference(mean, mean - NORMAL_95 * error, mean + NORMAL_95 * error)


def decide(held_out: int, copies: int, originals: Difference | None, groups: Difference | None) -> Verdict:
    """The verdict on a trained model, of `held_out` pictures, `copies` of which it has seen."""
    if copies:
        return Verdict("refused", f"{copies} held-out pictures have copies among those that it learnt from: pack anew")
    if held_out < LEAST:
        return Verdict("undecided", f"{held_out} pictures are held out: at least {LEAST} are needed")
    found = {"originals": originals, "pictures of their group": groups}
    told = {name: f"{one.mean:+.1%} {name} found" for name, one in found.items() if one}
    for name, one in found.items():
        if one and one.high < 0:
            return Verdict("refused", f"worse than before: {told[name]}")
    better = [told[name] for name, one in found.items() if one and one.low > 0]
    if better:
        return Verdict("passed", f"better than before: {', '.join(better)}")
    return Verdict("undecided", f"no significant difference: {', '.join(told.values())}")
