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
SECONDS, MOST_ROUNDS = 2.0, 5  # of the timing itself, of which one round is always run
PASSES = 3  # about how often each one embeds the pictures
# to load, convert and compile, in seconds: what is expected before it is known
COST: dict[Backend, float] = {"torch": 2, "openvino": 10, "onnx": 20, "compile": 60}


@dataclass(frozen=True, slots=True)
class Shard:
    """What a choice depends on: the model under torch, its options, and the pictures."""

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


_ready: dict[tuple[Path, Candidate], Engine] = {}  # the one that the latest shard of this process ran with


def quickest(engine: Engine, model: ModelOptions, sample: Sample, settings: Settings) -> Engine:
    """The engine to embed a shard with: `engine`, or one of another backend and precision that ends sooner.

    Says in one log line what was measured or remembered. Whatever fails in another backend leaves it out.
    """
    if settings.backend != "auto" or engine.tower.device.type != "cpu" or sample.images < LEAST_IMAGES:
        return engine
    shard = Shard(engine, model, sample, settings)
    what = (model.dtype, model.use_cls_token, shard.size, sample.width, sample.height)
    file = timings_file(engine.tower.digest, what, settings)
    known = read_timings(file)
    remembered = known is not None and _suffices(known, shard)
    if known is None or not remembered:
        known = _measure(shard, file)
        if known is None:
            return engine
        write_timings(file, known)
    best = _best(shard, known)
    log.info(
        "backend chosen",
        backend=best[0],
        precision=best[1],
        images_per_second=", ".join(map(str, known.found)),
        remembered=remembered,
    )
    return engine if best == shard.own else _engine(shard, file, best)


def _suffices(known: Timings, shard: Shard) -> bool:
    """Whether a trial was for a shard about as long as this one, or has left out nothing.

    The speed of torch does not count: it varies, and would have a busy machine measure again and again.
    """
    tried = {_of(each) for each in known.found}
    return shard.sample.images <= LONGER * known.images or tried.issuperset(_candidates(shard))


def _best(shard: Shard, known: Timings) -> Candidate:
    """The candidate that ends the shard first, getting ready included; torch unless another one saves enough."""
    allowed = [shard.own, *_candidates(shard)]
    seconds = {
        _of(each): each.setup_seconds + shard.sample.images / each.images_per_second
        for each in known.found
        if each.images_per_second and _of(each) in allowed
    }
    first = min(seconds, key=lambda each: seconds[each])
    return first if seconds[first] <= (1 - GAIN) * seconds[shard.own] else shard.own


def _engine(shard: Shard, file: Path, chosen: Candidate) -> Engine:
    """The chosen engine, built unless it is there; torch's if that fails."""
    if (file, chosen) not in _ready:
        _ready.clear()
        try:
            _ready[file, chosen] = _built(shard, chosen)
        except Exception as error:
            _tell(chosen, error)
            forget_timings(file)
            return shard.engine
    return _ready[file, chosen]


def _candidates(shard: Shard) -> Iterator[Candidate]:
    """What may replace torch, the cheapest to try first. A precision that the model states stays as it is."""
    dtypes: tuple[Dtype, ...] = ("float32", "bfloat16") if shard.model.dtype == "auto" else (shard.own[1],)
    for backend in sorted(COST, key=lambda each: COST[each]):
        for dtype in dtypes:
            possible = backend != "onnx" or dtype == "float32"
            if (backend, dtype) != shard.own and possible and installed(backend):
                yield backend, dtype


def _affordable(shard: Shard, torchs: Timing) -> list[Candidate]:
    """The candidates whose trial costs little beside the shard, by the speed of torch."""
    rate = torchs.images_per_second or float("inf")
    left = SHARE * shard.sample.images / rate
    found = []
    for candidate in _candidates(shard):
        left -= COST[candidate[0]] + PASSES * shard.size / rate
        if left < 0:
            break
        found.append(candidate)
    return found


def _measure(shard: Shard, file: Path) -> Timings | None:
    """Time torch and the affordable candidates in turns; None where the pictures have no usable vectors."""
    pictures = shard.sample.read(shard.size)
    if not len(pictures):
        return None
    pictures = pictures[torch.arange(shard.size) % len(pictures)]
    with torch.inference_mode():
        wanted = shard.engine.network(pictures)
        good = torch.from_numpy(usable(wanted.numpy()))
        if not bool(good.any()):
            return None
        rate = shard.size / min(_seconds(shard.engine, pictures) for _ in range(2))
        backend, dtype = shard.own
        own = Timing(backend=backend, dtype=dtype, images_per_second=rate)
        found, ready = [own], {shard.own: shard.engine}
        for candidate in _affordable(shard, own):
            timing, built = _tried(shard, candidate, pictures, wanted[good], good)
            found.append(timing)
            if built:
                ready[candidate] = built
        best = _timed(ready, pictures) if len(ready) > 1 else {shard.own: shard.size / rate}
    rates = {candidate: shard.size / seconds for candidate, seconds in best.items()}
    told = tuple(each.model_copy(update={"images_per_second": rates.get(_of(each))}) for each in found)
    known = Timings(measured_at=time.time(), images=shard.sample.images, found=told)
    chosen = _best(shard, known)
    _ready.clear()
    if chosen != shard.own:
        _ready[file, chosen] = ready[chosen]
    return known


def _tried(
    shard: Shard, candidate: Candidate, pictures: torch.Tensor, wanted: torch.Tensor, good: torch.Tensor
) -> tuple[Timing, Engine | None]:
    """Build a candidate and hold its vectors to those of torch."""
    backend, dtype = candidate
    started = time.perf_counter()
    try:
        engine = _built(shard, candidate)
        found = engine.network(pictures)[good]
    except Exception as error:  # each of these libraries has errors of its own
        _tell(candidate, error)
        return Timing(backend=backend, dtype=dtype, refused="fails"), None
    setup = time.perf_counter() - started
    cosine = float(torch.nn.functional.cosine_similarity(found.double(), wanted.double()).min())
    if found.shape != wanted.shape or not cosine >= LEAST_COSINE:
        return Timing(backend=backend, dtype=dtype, setup_seconds=setup, refused=f"cosine {cosine:.4f}"), None
    return Timing(backend=backend, dtype=dtype, setup_seconds=setup), engine


def _built(shard: Shard, candidate: Candidate) -> Engine:
    """An engine of its own, of which nothing stays in memory if it is not used."""
    backend, dtype = candidate
    loaded: Dtype = "float32" if backend == "openvino" else dtype  # OpenVINO itself converts
    tower = shard.engine.tower
    if loaded != shard.own[1]:
        tower = image_tower.__wrapped__(shard.model.model_copy(update={"dtype": loaded}), shard.settings, "cpu")
    return engine_of(tower, shard.size, backend, dtype)


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
