"""The loop of every objective: batches, views, loss, step; checkpoints, from which it goes on exactly; collapse.

What is random in a step follows from the seed and the number of the step, so that a training that was killed goes on
to the same weights.
"""

import hashlib
import json
import math
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from image_retrieval.errors import UserError
from image_retrieval.objects import ObjectStore
from image_retrieval.training import ranks
from image_retrieval.training.backbones import Backbone
from image_retrieval.training.batched_augmentations import view, whole
from image_retrieval.training.checkpoints import load_checkpoint, save_checkpoint
from image_retrieval.training.health import Health, collapse, health_of
from image_retrieval.training.objectives.base import Objective
from image_retrieval.training.options import TrainingOptions
from image_retrieval.training.progress import Meter, Progress, Reporter
from image_retrieval.training.reading import Batch, batches, order
from image_retrieval.training.records import require_own
from image_retrieval.training.sampled import Sampled
from image_retrieval.training.schedule import Recipe, optimizer_of, rate_at, set_rate, weights_of

log = structlog.get_logger()
STEEPEST = 1.0  # norm to which gradients are cut
PROBED = 256  # pictures by which collapse is seen
PROBE_BATCH = 64
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a training is made of; `epoch_steps` are the steps of an epoch, `out` is a folder that ends in `/`.

    `token` tells this process from another one that trains into the same folder.
    """

    options: TrainingOptions
    pack: Sampled
    store: ObjectStore
    backbone: Backbone
    objective: Objective
    recipe: Recipe
    epoch_steps: int
    device: torch.device
    out: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def digest(self) -> str:
        """Tells settings and packs apart."""
        told = json.dumps([asdict(self.options), self.pack.digest], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


class Collapsed(UserError):
    """The features of a training have collapsed, or its loss is no number: it was stopped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a training came to its end, or was told to stop before; figures of it."""

    finished: bool
    figures: dict[str, Any]


def train(plan: Plan, stopped: Callable[[], bool]) -> Outcome:
    """Train from the folder's checkpoint, or from the start, to the end, or until told to stop.

    Raises Collapsed, TakenOver if another process goes on with it, and UserError for a checkpoint of another training.
    """
    descent, progress = _Descent(plan), Progress(plan.epoch_steps * plan.options.epochs, plan.epoch_steps)
    if kept := load_checkpoint(plan.store, plan.out, plan.device):
        descent.restore(kept)
        progress.restore(kept)
    elif plan.objective.begins_with_features:
        plan.objective.begin(_sums_of_features(plan))
    probe, meter = _probe(plan), Meter(plan.options.batch_size)
    reporter = Reporter(plan.store, plan.out, progress, meter)
    if progress.start is None:
        progress.start = progress.now = _health(plan, probe)
    plan.objective.train()
    since = int(progress.points[-1][0]) if progress.points else 0
    with closing(_read(plan, progress.step)) as reading:
        while progress.step < progress.steps:
            for part in range(plan.options.accumulate):
                with meter.waiting():
                    rows, batch = next(reading)
                descent.add(rows, batch, progress, part)
            rate = descent.step(progress)
            progress.step += 1
            plan.objective.after_step(progress.share)
            if progress.at_point:
                progress.points.append([progress.step, descent.mean_loss(progress.step - since)])
                since = progress.step
            meter.tell(progress, rate=rate, always=progress.at_epoch)
            if progress.at_epoch:
                progress.now = _judged(plan, probe, progress)
            halt = ranks.any_of(stopped(), plan.device) and progress.step < progress.steps
            due = halt or _due(progress, plan.options.checkpoint_every)
            if due:
                state = progress.state() | descent.state()
                if ranks.rank() == 0:
                    require_own(plan.store, plan.out, plan.token)
                    save_checkpoint(plan.store, plan.out, state)
            reporter.tell(now=due)
            if halt:
                return Outcome(finished=False, figures=progress.figures() | meter.figures())
    return Outcome(finished=True, figures=progress.figures() | meter.figures())


def _due(progress: Progress, every: int) -> bool:
    return progress.at_epoch and (progress.step // progress.epoch_steps % every == 0 or progress.step == progress.steps)


def seed_of(*numbers: int) -> int:
    """A seed that follows from numbers, as different for neighbours as for others."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


class _Descent:
    """The optimizer of a training, and the losses since the last point of the curve."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._optimizer = optimizer_of(plan.objective, plan.recipe.decay)
        self._weights = weights_of(self._optimizer)
        self._scaler = torch.amp.GradScaler(plan.device.type, enabled=plan.options.precision == "float16")
        self._losses = torch.zeros((), dtype=torch.float64, device=plan.device)
        self._classes = torch.from_numpy(plan.pack.classes)

    def add(self, rows: Rows, batch: Batch, progress: Progress, part: int) -> None:
        """Add the gradients of one part of a step's batch."""
        plan, options = self._plan, self._plan.options
        seed = seed_of(options.seed, progress.step, part)
        torch.manual_seed(seed)  # of what drops out
        rng = torch.Generator().manual_seed(seed)
        pixels = torch.from_numpy(batch.pixels).to(plan.device, non_blocking=True).permute(0, 3, 1, 2)
        sizes = torch.from_numpy(batch.sizes)
        views = [plan.backbone.normalised(view(pixels, sizes, how, rng)) for how in plan.objective.views]
        dtype = DTYPES[options.precision]
        with torch.autocast(plan.device.type, dtype, enabled=dtype is not torch.float32):
            classes = self._classes[torch.from_numpy(rows)].to(plan.device)
            loss = plan.objective(views, classes, progress.share) / options.accumulate
        self._scaler.scale(loss).backward()
        self._losses += loss.detach()

    def step(self, progress: Progress) -> float:
        """Take the step down these gradients; returns its rate."""
        ranks.share_gradients(self._weights)  # before the scale is taken off: so an overflow of one stops all
        self._scaler.unscale_(self._optimizer)
        self._plan.objective.before_step(progress.share)
        torch.nn.utils.clip_grad_norm_(self._weights, STEEPEST)
        rate = rate_at(progress.step, progress.steps, self._plan.recipe, self._plan.options.batch_size)
        set_rate(self._optimizer, rate)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return rate

    def mean_loss(self, steps: int) -> float:
        """The mean of the steps' losses since the last call. Raises Collapsed if it is no number."""
        found = float(ranks.mean_of(self._losses)) / max(1, steps)
        self._losses.zero_()
        if not math.isfinite(found):
            raise Collapsed("stopped: the loss is no number: lower --lr, or use --precision float32 or bfloat16")
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; the same in all processes."""
        return {
            "training": self._plan.digest,
            "objective": self._plan.objective.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "losses": ranks.mean_of(self._losses),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises UserError if it is one of other settings or pictures."""
        if state.get("training") != self._plan.digest:
            raise UserError(
                f"the checkpoint of {self._plan.out} is one of other settings or pictures: train into another folder"
            )
        try:
            self._plan.objective.load_state_dict(state["objective"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])
            self._losses.copy_(state["losses"])
        except (KeyError, ValueError, RuntimeError) as error:
            told = " ".join(str(error).split())[:200]
            raise UserError(f"the checkpoint of {self._plan.out} does not fit its model ({told})") from None


def _rows(plan: Plan, first: int) -> Iterator[Rows]:
    """This process's pictures of each part of each step from the first on, as places among those to learn from."""
    options, count = plan.options, len(plan.pack.learnt)
    epoch, taken = -1, np.empty(0, np.int64)
    for step in range(first, plan.epoch_steps * options.epochs):
        if step // plan.epoch_steps != epoch:
            epoch = step // plan.epoch_steps
            taken = order(count, options.seed, epoch)
        at = step % plan.epoch_steps * options.batch_size
        for part in np.split(taken[at : at + options.batch_size], options.accumulate):
            yield np.split(part, ranks.world())[ranks.rank()]


def _read(plan: Plan, first: int) -> Generator[tuple[Rows, Batch], None, None]:
    wanted = (plan.pack.learnt[rows] for rows in _rows(plan, first))
    enough, readers = 2 * plan.backbone.side, plan.options.readers
    yield from zip(
        _rows(plan, first), batches(plan.pack, plan.store, wanted, readers=readers, enough=enough), strict=True
    )


def _probe(plan: Plan) -> list[torch.Tensor]:
    """Pictures by which collapse is seen: of those held out, else of those to learn from, evenly chosen."""
    among = plan.pack.held_out if len(plan.pack.held_out) >= PROBE_BATCH else plan.pack.learnt
    chosen = among[np.linspace(0, len(among) - 1, min(PROBED, len(among))).astype(np.int64)]
    return list(_whole_pictures(plan, chosen))


def _whole_pictures(plan: Plan, positions: Rows) -> Iterator[torch.Tensor]:
    """The whole of pictures of the pack, as the encoder takes them, in batches."""
    wanted = np.split(positions, range(PROBE_BATCH, len(positions), PROBE_BATCH))
    side = plan.backbone.side
    for batch in batches(plan.pack, plan.store, wanted, readers=plan.options.readers, enough=2 * side):
        pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2)
        yield plan.backbone.normalised(whole(pixels, torch.from_numpy(batch.sizes), side))


@torch.no_grad()
def _sums_of_features(plan: Plan) -> torch.Tensor:
    """For each class, the sum of its pictures' features of length 1; each process computes those of its share."""
    classes = torch.from_numpy(plan.pack.classes)
    rows = np.array_split(np.arange(len(classes)), ranks.world())[ranks.rank()]
    plan.objective.eval()
    found = [normalize(plan.objective.encoder(pixels.to(plan.device)).float(), dim=1).cpu()
             for pixels in _whole_pictures(plan, plan.pack.learnt[rows])]  # fmt: skip
    sums = torch.zeros(int(classes.max()) + 1, plan.backbone.width)
    sums.index_add_(0, classes[torch.from_numpy(rows)], torch.cat(found))
    return ranks.summed(sums.to(plan.device))


@torch.no_grad()
def _health(plan: Plan, probe: list[torch.Tensor]) -> Health:
    encoder = plan.objective.encoder
    encoder.eval()
    found = [encoder(pixels.to(plan.device)).float().cpu() for pixels in probe]
    plan.objective.train()
    return health_of(torch.cat(found))


def _judged(plan: Plan, probe: list[torch.Tensor], progress: Progress) -> Health:
    """The health after an epoch. Raises Collapsed."""
    now, epoch = _health(plan, probe), progress.step // progress.epoch_steps
    why = collapse(now, progress.start) if progress.start else ""
    if ranks.any_of(bool(why), plan.device):
        raise Collapsed(f"stopped after epoch {epoch}, {why}: lower --lr, raise --batch-size, or use another --method")
    if ranks.rank() == 0:
        log.info("epoch", epoch=epoch, spread=round(now.spread, 4), effective_rank=round(now.rank, 1))
    return now
