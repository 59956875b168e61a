"""The loop of trainings on pairs: steps, and checkpoints, from which it goes on exactly.

What is random in a step follows from the seed, the number of the step and torch's state, which a checkpoint keeps, so
that a training that was killed goes on to the same weights.
"""

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training.checkpoints import load_checkpoint, save_checkpoint
from image_retrieval.training.loop import Collapsed, Outcome
from image_retrieval.training.pairs.drawing import drawn
from image_retrieval.training.pairs.options import PAIR_CHECKPOINTS, PAIR_EPOCHS, PairOptions
from image_retrieval.training.pairs.paired import Paired
from image_retrieval.training.progress import Meter, Progress, Reporter
from image_retrieval.training.records import require_own
from image_retrieval.training.schedule import Recipe, optimizer_of, rate_at, set_rate, weights_of

STEEPEST = 1.0  # norm to which gradients are cut
Numbers = NDArray[np.int64]
Step = tuple[Numbers, Numbers, torch.Tensor | None]  # pictures, the number of a text of each, and what was read of them


@dataclass(frozen=True, slots=True)
class Course:
    """What a training on pairs learns from, and where; `out` is a folder that ends in `/`.

    `token` tells this process from another one that trains into the same folder.
    """

    options: PairOptions
    paired: Paired
    store: ObjectStore
    out: str
    stopped: Callable[[], bool]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def batch(self) -> int:
        """Pictures of a step."""
        return min(self.options.batch_size, len(self.paired.learnt))

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch."""
        return len(self.paired.learnt) // self.batch

    @property
    def epochs(self) -> int:
        """How often each picture is taken."""
        return self.options.epochs or PAIR_EPOCHS[self.options.method]

    @property
    def digest(self) -> str:
        """Tells settings, pictures and texts apart."""
        told = json.dumps([asdict(self.options), self.paired.digest], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def steps(self, first: int) -> Iterator[tuple[Numbers, Numbers]]:
        """The pictures of each step from the first on, and the number of a text of each."""
        begun, skipped = divmod(first, self.epoch_steps)
        for epoch in range(begun, self.epochs):
            own = drawn(self.paired.texts, self.paired.learnt, self.batch, self.options.seed, epoch, self.paired.near)
            yield from islice(own, skipped if epoch == begun else 0, None)


class Learner(Protocol):
    """What learns: the free weights of a module, on a device."""

    device: torch.device
    recipe: Recipe

    @property
    def module(self) -> nn.Module:
        """What holds the weights."""

    def read(self, first: int) -> Generator[Step, None, None]:
        """What each step from the first on takes."""

    def backward(self, step: Step) -> float:
        """Add the gradients of a step; returns its loss."""

    def after_step(self) -> None:
        """What follows a step of the optimizer."""


def learn(course: Course, learner: Learner) -> Outcome:
    """Train from the folder's checkpoint, or from the start, to the end, or until told to stop.

    Raises Collapsed, TakenOver if another process goes on with it, and UserError for a checkpoint of another training.
    """
    progress, descent = Progress(course.epoch_steps * course.epochs, course.epoch_steps), _Descent(course, learner)
    if kept := load_checkpoint(course.store, course.out, torch.device("cpu")):
        descent.restore(kept)
        progress.restore(kept)
    meter = Meter(course.batch)
    reporter = Reporter(course.store, course.out, progress, meter)
    every = course.options.checkpoint_every or PAIR_CHECKPOINTS[course.options.method]
    with closing(learner.read(progress.step)) as reading:
        while progress.step < progress.steps:
            with meter.waiting():
                step = next(reading)
            rate = descent.step(step, progress)
            if progress.at_point:
                descent.add_point(progress)
            meter.tell(progress, rate=rate, always=progress.step == progress.steps)
            halt = course.stopped() and progress.step < progress.steps
            ended = progress.at_epoch and progress.step // progress.epoch_steps % every == 0
            due = halt or ended or progress.step == progress.steps
            if due:
                require_own(course.store, course.out, course.token)
                save_checkpoint(course.store, course.out, progress.state() | descent.state())
            reporter.tell(now=due)
            if halt:
                return Outcome(finished=False, figures=progress.figures() | meter.figures())
    return Outcome(finished=True, figures=progress.figures() | meter.figures())


class _Descent:
    """The optimizer of a training, and the losses since the last point of the curve."""

    def __init__(self, course: Course, learner: Learner) -> None:
        self._course, self._learner = course, learner
        recipe = learner.recipe
        self._recipe = Recipe(course.options.rate or recipe.rate, recipe.decay, recipe.warm_up)
        self._optimizer = optimizer_of(learner.module, recipe.decay)
        self._weights = weights_of(self._optimizer)
        self._summed = 0.0

    def step(self, step: Step, progress: Progress) -> float:
        """Take a step; returns its rate."""
        self._summed += self._learner.backward(step)
        rate = rate_at(progress.step, progress.steps, self._recipe, self._course.batch)
        set_rate(self._optimizer, rate)
        nn.utils.clip_grad_norm_(self._weights, STEEPEST)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._learner.after_step()
        progress.step += 1
        return rate

    def add_point(self, progress: Progress) -> None:
        """Add the mean of the losses since the last point to the curve. Raises Collapsed if it is no number."""
        since = progress.points[-1][0] if progress.points else 0
        mean, self._summed = self._summed / max(1, progress.step - since), 0.0
        if not math.isfinite(mean):
            raise Collapsed("stopped: the loss is no number: lower --lr")
        progress.points.append([progress.step, mean])

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "training": self._course.digest,
            "weights": {name: weight.detach() for name, weight in self._free().items()},
            "optimizer": self._optimizer.state_dict(),
            "summed": self._summed,
            "random": [torch.get_rng_state(), *self._states()],
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises UserError if it is one of other settings, pictures or texts."""
        out = self._course.out
        if state.get("training") != self._course.digest:
            raise UserError(
                f"the checkpoint of {out} is one of other settings, pictures or texts: train into another folder"
            )
        try:
            for name, weight in self._free().items():
                weight.copy_(state["weights"][name])
            self._optimizer.load_state_dict(state["optimizer"])
            self._summed = state["summed"]
            own, *others = state["random"]
            torch.set_rng_state(own)
            if others and self._learner.device.type == "cuda":
                torch.cuda.set_rng_state(others[0], self._learner.device)
        except (KeyError, ValueError, RuntimeError) as error:
            told = " ".join(str(error).split())[:200]
            raise UserError(f"the checkpoint of {out} does not fit its model ({told})") from None

    def _free(self) -> dict[str, nn.Parameter]:
        return {name: own for name, own in self._learner.module.named_parameters() if own.requires_grad}

    def _states(self) -> list[torch.Tensor]:
        device = self._learner.device
        return [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
