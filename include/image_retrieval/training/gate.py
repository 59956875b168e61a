"""The gate: compares a trained model with another one on held-out pictures, and decides whether it may replace it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.errors import UserError
from image_retrieval.models.towers import ImageTower
from image_retrieval.training.copies import count_copies
from image_retrieval.training.judging import Answers, Figures, Numbers, Views, answer, embed_views, vary
from image_retrieval.training.variations import VARIATIONS
from image_retrieval.training.verdict import Decision, Difference, decide, difference

GALLERY = 10_000  # held-out pictures among which an original is to be found
QUERIES = 1000  # pictures whose variations are asked for
EXAMPLES = 6
NEAREST = 3  # answers that an example shows
TRAINED, BEFORE, START = "trained", "before", "start"
Reader = Callable[[Numbers], Iterator[Image.Image]]  # the pictures at places of the index, in their order


@dataclass(frozen=True, slots=True)
class Example:
    """A query and what both models find, as places in the index; `right` is the original's."""

    kind: str
    right: int
    trained: list[int]
    before: list[int]


@dataclass(frozen=True, slots=True)
class GateReport:
    """A verdict and what it is made of. The differences are of the trained model less the one before."""

    decision: Decision
    reason: str
    held_out: int
    queries: int
    copies: int
    seed: int
    figures: dict[str, Figures]
    originals: Difference | None
    groups: Difference | None
    examples: list[Example]

    def as_json(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return asdict(self)


def judge(towers: Mapping[str, ImageTower], index: pa.Table, read: Reader, *, seed: int = 0) -> GateReport:
    """Judge the tower TRAINED against the tower BEFORE on the held-out pictures of a packed set's index.

    A tower START, if there is one, gets figures, too, which decide nothing. The same seed asks the same queries. Raises
    UserError if no two pictures are held out.
    """
    held_out = _held_out(index)
    if len(held_out) < 2:
        raise UserError(f"{len(held_out)} pictures are held out to judge by: pack again with a larger --held-out")
    gallery = _gallery(held_out, seed)
    asked = np.sort(np.random.default_rng([seed, 1]).permutation(len(gallery))[:QUERIES])
    views = embed_views(towers, read(gallery), asked, seed)
    groups = _groups(index["group_id"].take(pa.array(gallery)).to_pylist())
    answers = {name: answer(own, asked, groups) for name, own in views.items()}
    trained, before = answers[TRAINED], answers[BEFORE]
    originals = difference(trained.hits, before.hits)
    alike = difference(trained.precision, before.precision)
    copies = count_copies(index)
    verdict = decide(len(held_out), copies, originals, alike)
    return GateReport(
        verdict.decision,
        verdict.reason,
        held_out=len(held_out),
        queries=len(asked) * len(VARIATIONS),
        copies=copies,
        seed=seed,
        figures={name: found.figures for name, found in answers.items()},
        originals=originals,
        groups=alike,
        examples=[_example(kind, at, views, gallery, asked) for kind, at in _telling(trained, before, len(asked))],
    )


def example_pictures(example: Example, report: GateReport, index: pa.Table, read: Reader) -> list[Image.Image]:
    """The query of an example, and then the answers of both models."""
    place = int(np.searchsorted(_gallery(_held_out(index), report.seed), example.right))
    wanted = np.array([example.right, *example.trained, *example.before])
    original, *answers = read(wanted)
    return [vary(original, report.seed, place)[list(VARIATIONS).index(example.kind)], *answers]


def _held_out(index: pa.Table) -> Numbers:
    return np.flatnonzero(index["held_out"].to_numpy(zero_copy_only=False).astype(bool)).astype(np.int64)


def _gallery(held_out: Numbers, seed: int) -> Numbers:
    return np.sort(np.random.default_rng(seed).permutation(held_out)[:GALLERY])


def _example(kind: int, at: int, views: Mapping[str, Views], gallery: Numbers, asked: Numbers) -> Example:
    found = {
        name: gallery[np.argsort(-(own.gallery @ own.queries[kind, at]), kind="stable")[:NEAREST]].tolist()
        for name, own in views.items()
    }
    return Example(list(VARIATIONS)[kind], int(gallery[asked[at]]), found[TRAINED], found[BEFORE])


def _groups(names: list[str | None]) -> NDArray[np.int64] | None:
    """The number of each picture's group; None if no two pictures are of one."""
    alone = (f"\0{place}" for place in range(len(names)))  # no name has a NUL character: PostgreSQL allows none
    known = [name if name is not None else next(alone) for name in names]
    numbers = np.unique(known, return_inverse=True)[1].astype(np.int64)
    return numbers if len(np.unique(numbers)) < len(names) else None


def _telling(trained: Answers, before: Answers, count: int) -> list[tuple[int, int]]:
    """The kind and the place of the queries whose answers differ most, half of them for the better."""
    gain = np.log(before.ranks) - np.log(trained.ranks)
    order = np.argsort(-gain, kind="stable")
    half = EXAMPLES // 2
    chosen = dict.fromkeys([*order[:half].tolist(), *order[::-1][:half].tolist()])
    return [divmod(place, count) for place in chosen]
