"""Finds the backend that embeds a shard soonest on this machine's CPU, for the setting `backend` = auto.

Plain torch is the measure. Others are tried on the shard's own first pictures, if that costs little beside the shard.
One whose vectors differ from torch's is refused.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
import torch

from image_retrieval.collection import Dtype, ModelOptions
from image_retrieval.embedding.backends import engine_of, installed
from image_retrieval.embedding.engine import Engine, first_line, usable
from image_retrieval.embedding.reader import Sample
from image_retrieval.embedding.timings import (
    Timing,
    Timings,
    forget_timings,
    read_timings,
    timings_file,
    write_timings,
)
from image_retrieval.models.towers import image_tower
from image_retrieval.settings import Backend, Settings

log = structlog.get_logger()
Candidate = tuple[Backend, Dtype]

LEAST_IMAGES = 500  # shorter shards are not worth a measurement
LEAST_COSINE = 0.999  # to the vectors of torch, on each picture
SHARE = 0.05  # of the time that torch needs for the shard: what trying the others may take
GAIN = 0.1  # of torch's time, saved at least
LONGER = 2  # times as many images as in the trial that is remembered: then more candidates may be worth one
SECONDS, MOST_ROUNDS = 1.0, 5  # of timing two in turns, of which one round is always run
PASSES = 3  # about how often each one embeds the pictures
# to load, convert and compile, in seconds: what is expected before it is known
COST: dict[Backend, float] = {"torch": 2, "openvino": 10, "onnx": 20, "compile": 60}


@dataclass(frozen=True, slots=True)
class Trial:
    """What a choice depends on: the model under torch, its options, and the shard's pictures."""

    engine: Engine
    model: ModelOptions
    sample: Sample
    settings: Settings

    @property
    def own(self) -> Candidate:
        """Plain torch in the dtype that the model states, or in float32."""
        return "torch", "float32" if self.model.dtype == "auto" else self.model.dtype

    @property
    def size(self) -> int:
        """The batch with which other backends run: a larger one only takes memory."""
        return min(self.engine.size, max(8, 4 * torch.get_num_threads()))

    @property
    def file(self) -> Path:
        """Where the measurement is remembered."""
        what = (self.model.dtype, self.model.use_cls_token, self.size, self.sample.width, self.sample.height)
        return timings_file(self.engine.tower.digest, what, self.settings)


_ready: dict[tuple[Path, Candidate], Engine] = {}  # the one that the latest shard of this process ran with


def quickest(engine: Engine, model: ModelOptions, sample: Sample, settings: Settings) -> Engine:
    """The engine to embed a shard with: `engine`, or one of another backend and precision that ends sooner.

    Says in one log line what was measured or remembered. Whatever fails in another backend leaves it out.
    """
    if settings.backend != "auto" or engine.tower.device.type != "cpu":
        return engine
    trial = Trial(engine, model, sample, settings)
    known = _remembered(trial)
    remembered = known is not None
    if known is None and sample.images >= LEAST_IMAGES:
        known = _measure(trial)
    if known is None:
        return engine
    best = _best(trial, known)
    log.info(
        "backend chosen",
        backend=best[0],
        precision=best[1],
        images_per_second=", ".join(map(str, known.found)),
        remembered=remembered,
    )
    return engine if best == trial.own else _engine(trial, best)


def _remembered(trial: Trial) -> Timings | None:
    """An earlier trial, if it was for a shard about as long as this one, or left out nothing.

    The speed of torch does not count: it varies, and would have a busy machine measure again and again.
    """
    known = read_timings(trial.file)
    if known is None or _of(known.found[0]) != trial.own:
        return None
    tried = {_of(each) for each in known.found}
    suffices = trial.sample.images <= LONGER * known.images or tried.issuperset(_candidates(trial))
    return known if suffices else None


def _best(trial: Trial, known: Timings) -> Candidate:
    """The candidate that ends the shard first, getting ready included; torch unless another one saves enough."""
    allowed = [trial.own, *_candidates(trial)]
    seconds = {
        _of(each): (0.0 if (trial.file, _of(each)) in _ready else each.setup_seconds)
        + trial.sample.images / each.images_per_second
        for each in known.found
        if each.images_per_second and _of(each) in allowed
    }
    first = min(seconds, key=lambda each: seconds[each])
    return first if seconds[first] <= (1 - GAIN) * seconds[trial.own] else trial.own


def _engine(trial: Trial, chosen: Candidate) -> Engine:
    """The chosen engine, built unless it is there; torch's if that fails."""
    if (trial.file, chosen) not in _ready:
        _ready.clear()
        try:
            _ready[trial.file, chosen] = _built(trial, chosen)
        except Exception as error:
            _tell(chosen, error)
            forget_timings(trial.file)
            return trial.engine
    return _ready[trial.file, chosen]


def _candidates(trial: Trial) -> Iterator[Candidate]:
    """What may replace torch, the cheapest to try first. A precision that the model states stays as it is."""
    dtypes: tuple[Dtype, ...] = ("float32", "bfloat16") if trial.model.dtype == "auto" else (trial.own[1],)
    for backend in sorted(COST, key=lambda each: COST[each]):
        for dtype in dtypes:
            possible = backend != "onnx" or dtype == "float32"
            if (backend, dtype) != trial.own and possible and installed(backend):
                yield backend, dtype


def _affordable(trial: Trial, rate: float) -> list[Candidate]:
    """The candidates whose trial costs little beside the shard, which torch embeds at `rate` images/s."""
    left = SHARE * trial.sample.images / rate
    found = []
    for candidate in _candidates(trial):
        left -= COST[candidate[0]] + PASSES * trial.size / rate
        if left < 0:
            break
        found.append(candidate)
    return found


def _measure(trial: Trial) -> Timings | None:
    """Time torch and the affordable candidates, each beside the fastest so far, which alone stays in memory.

    None where the pictures have no usable vectors, or torch fails on them: the engine then tells which ones.
    """
    pictures = trial.sample.read(trial.size)
    if not len(pictures):
        return None
    pictures = pictures[torch.arange(trial.size) % len(pictures)]
    with torch.inference_mode():
        try:
            wanted = trial.engine.network(pictures)
            rate = trial.size / min(_seconds(trial.engine, pictures) for _ in range(2))
        except (RuntimeError, MemoryError):
            return None
        good = torch.from_numpy(usable(wanted.numpy()))
        if not bool(good.any()):
            return None
        found = {trial.own: Timing(backend=trial.own[0], dtype=trial.own[1], images_per_second=rate)}
        _write(trial, found, whole=False)  # so that a trial for which memory is short is not repeated at once
        best, engine = trial.own, trial.engine
        for candidate in _affordable(trial, rate):
            found[candidate], built = _tried(trial, candidate, pictures, wanted[good], good)
            if built is not None:
                seconds = _timed({best: engine, candidate: built}, pictures)
                for each, taken in seconds.items():
                    found[each] = found[each].model_copy(update={"images_per_second": trial.size / taken})
                if seconds[candidate] < seconds[best]:
                    best, engine = candidate, built
    _ready.clear()
    if best != trial.own:
        _ready[trial.file, best] = engine
    return _write(trial, found, whole=True)


def _write(trial: Trial, found: dict[Candidate, Timing], *, whole: bool) -> Timings:
    known = Timings(measured_at=time.time(), images=trial.sample.images, found=tuple(found.values()), whole=whole)
    write_timings(trial.file, known)
    return known


def _tried(
    trial: Trial, candidate: Candidate, pictures: torch.Tensor, wanted: torch.Tensor, good: torch.Tensor
) -> tuple[Timing, Engine | None]:
    """Build a candidate and hold its vectors to those of torch."""
    backend, dtype = candidate
    started = time.perf_counter()
    try:
        engine = _built(trial, candidate)
        found = engine.network(pictures)[good]
        if found.shape != wanted.shape:
            raise RuntimeError(f"vectors of shape {tuple(found.shape)}, not {tuple(wanted.shape)}")
        cosine = float(torch.nn.functional.cosine_similarity(found.double(), wanted.double()).min())
    except Exception as error:  # each of these libraries has errors of its own
        _tell(candidate, error)
        return Timing(backend=backend, dtype=dtype, refused="fails"), None
    setup = time.perf_counter() - started
    if not cosine >= LEAST_COSINE:
        return Timing(backend=backend, dtype=dtype, setup_seconds=setup, refused=f"cosine {cosine:.4f}"), None
    return Timing(backend=backend, dtype=dtype, setup_seconds=setup), engine


def _built(trial: Trial, candidate: Candidate) -> Engine:
    """An engine of its own, of which nothing stays in memory if it is not used."""
    backend, dtype = candidate
    loaded: Dtype = "float32" if backend == "openvino" else dtype  # OpenVINO itself converts
    tower = trial.engine.tower
    if loaded != trial.own[1]:
        tower = image_tower.__wrapped__(trial.model.model_copy(update={"dtype": loaded}), trial.settings, "cpu")
    return engine_of(tower, trial.size, backend, dtype)


def _timed(ready: dict[Candidate, Engine], pictures: torch.Tensor) -> dict[Candidate, float]:
    """The least seconds of each for the pictures; they take turns, as other programs may use the machine."""
    best = dict.fromkeys(ready, float("inf"))
    ends = time.perf_counter() + SECONDS
    for _ in range(MOST_ROUNDS):
        for candidate, engine in ready.items():
            best[candidate] = min(best[candidate], _seconds(engine, pictures))
        if time.perf_counter() > ends:
            break
    return best


def _seconds(engine: Engine, pictures: torch.Tensor) -> float:
    started = time.perf_counter()
    engine.network(pictures)
    return time.perf_counter() - started


def _tell(candidate: Candidate, error: Exception) -> None:
    log.warning("a backend cannot be used", backend=candidate[0], precision=candidate[1], error=first_line(error))


def _of(timing: Timing) -> Candidate:
    return timing.backend, timing.dtype
