"""Where a training is: its step, the curve of its loss, its features' health, and what is told of it meanwhile."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from image_retrieval.errors import Unavailable
from image_retrieval.objects import ObjectStore
from image_retrieval.training.health import Health
from image_retrieval.training.ranks import rank
from image_retrieval.training.records import LOSSES, update_record

log = structlog.get_logger()
POINTS = 2_000  # of the curve, at most
LOG_SECONDS = 10.0
LEAST_SECONDS = 1.0  # between two writings


@dataclass(slots=True)
class Progress:
    """`step`: how many are done, of `steps`; `points`: of the curve, steps done and the mean loss since the last."""

    steps: int
    epoch_steps: int
    step: int = 0
    start: Health | None = None
    now: Health | None = None
    points: list[list[float]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """The share of the training that is done."""
        return self.step / self.steps

    @property
    def at_point(self) -> bool:
        """Whether a point of the curve is due."""
        return self.step % -(-self.steps // POINTS) == 0 or self.step == self.steps

    @property
    def at_epoch(self) -> bool:
        """Whether an epoch ends here."""
        return self.step % self.epoch_steps == 0

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {
            "step": self.step,
            "points": self.points,
            "start": asdict(self.start) if self.start else None,
            "now": asdict(self.now) if self.now else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint has kept."""
        self.step, self.points = state["step"], state["points"]
        self.start, self.now = (Health(**state[name]) if state[name] else None for name in ("start", "now"))

    def figures(self) -> dict[str, Any]:
        """What is told of the training in its record; of the features' health only if it is judged."""
        told: dict[str, Any] = {
            "steps": self.step,
            "steps_in_all": self.steps,
            "epochs": self.step / self.epoch_steps,
            "loss_first": self.points[0][1] if self.points else None,
            "loss_last": self.points[-1][1] if self.points else None,
        }
        if self.start and self.now:
            told["spread"] = {"start": self.start.spread, "end": self.now.spread}
            told["effective_rank"] = {"start": self.start.rank, "end": self.now.rank}
        return told


class Meter:
    """Measures how fast a training is and how long it waits for data, and tells it now and then, in rank 0 alone."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._began = self._told = time.monotonic()
        self._steps = self._all_steps = 0
        self._waited = self._all_waited = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block as waiting for data."""
        began = time.monotonic()
        yield
        self._waited += time.monotonic() - began

    def tell(self, progress: Progress, *, rate: float, always: bool = False) -> None:
        """Count a step; log a line if the last one is long ago, or always."""
        self._steps += 1
        now = time.monotonic()
        if not always and now - self._told < LOG_SECONDS:
            return
        seconds = max(1e-9, now - self._told)
        if rank() == 0:
            log.info(
                "training",
                epoch=-(-progress.step // progress.epoch_steps),
                step=progress.step,
                of=progress.steps,
                loss=round(progress.points[-1][1], 4) if progress.points else None,
                rate=float(f"{rate:.3g}"),
                images_per_second=round(self._steps * self._batch / seconds, 1),
                waiting=round(self._waited / seconds, 3),
            )
        self._all_steps += self._steps
        self._all_waited += self._waited
        self._told, self._steps, self._waited = now, 0, 0.0

    def figures(self) -> dict[str, float]:
        """Images a second, and the share of the time spent waiting for data, of this run until the last line."""
        seconds = max(1e-9, self._told - self._began)
        return {
            "images_per_second": round(self._all_steps * self._batch / seconds, 1),
            "waiting": round(self._all_waited / seconds, 3),
        }


class Reporter:
    """Writes where a training is into its folder, in rank 0 alone: its figures, and the curve of its loss."""

    def __init__(self, store: ObjectStore, out: str, progress: Progress, meter: Meter) -> None:
        self._store, self._out, self._progress, self._meter = store, out, progress, meter
        self._told = time.monotonic()

    def tell(self, *, now: bool = False) -> None:
        """Write if an epoch ends or the last time is long ago, or now. A store that does not answer is passed over."""
        passed = time.monotonic() - self._told
        due = passed >= LOG_SECONDS or (self._progress.at_epoch and passed >= LEAST_SECONDS)
        if rank() != 0 or not (due or now):
            return
        self._told = time.monotonic()
        try:
            # first the record, which may say that the training was dropped
            update_record(self._store, self._out, figures=self._progress.figures() | self._meter.figures())
            self._store.write(self._out + LOSSES, (json.dumps(self._curve()) + "\n").encode())
        except Unavailable as error:
            log.warning("the progress was not written", reason=str(error))

    def _curve(self) -> list[dict[str, float]]:
        """Points of the loss: `[{"step", "epoch", "loss"}]`."""
        return [
            {"step": int(step), "epoch": round(step / self._progress.epoch_steps, 4), "loss": loss}
            for step, loss in self._progress.points
        ]
