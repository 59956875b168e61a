"""What the service did in the last day, minute by minute: requests, their times, processors and memory.

At the end of each minute, a thread reads the counters for Prometheus and what the processes use, and keeps what was
added since. So nothing is counted twice.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import psutil
import structlog
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from image_retrieval.service.gpus import Gpu, read_gpus
from image_retrieval.service.metrics import SECONDS, Metrics

MINUTE = 60.0  # seconds
KEPT = 24 * 60  # minutes

log = structlog.get_logger()


@dataclass(slots=True)
class Counts:
    """Requests, those of them that were refused (4xx) or failed (5xx), and those within each bound of SECONDS."""

    requests: int = 0
    refused: int = 0
    failed: int = 0
    within: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))  # the last ones took longer

    def plus(self, other: "Counts", times: int = 1) -> "Counts":
        """The sum with another one's counts, or the difference from them (`times` = -1)."""
        return Counts(
            self.requests + times * other.requests,
            self.refused + times * other.refused,
            self.failed + times * other.failed,
            [own + times * more for own, more in zip(self.within, other.within, strict=True)],
        )

    def quantile(self, share: float) -> float | None:
        """The seconds within which this share of the requests was answered, as Prometheus' histogram_quantile.

        None without requests; the largest bound where it lies above.
        """
        wanted, so_far = share * sum(self.within), 0
        for (low, high), count in zip(pairwise((0.0, *SECONDS)), self.within, strict=False):
            if count and so_far + count >= wanted:
                return low + (high - low) * (wanted - so_far) / count
            so_far += count
        return float(SECONDS[-1]) if so_far or self.within[-1] else None


@dataclass(frozen=True, slots=True)
class Minute:
    """What was added from `start` (Unix time) on, for so many seconds."""

    start: float
    seconds: float
    routes: dict[str, Counts]
    cores: float  # processors that the service's processes used on average
    memory: int  # bytes that they hold at the end, and those of the models among them
    models_memory: int
    gpus: tuple[Gpu, ...]


class History:
    """The last day's minutes. Thread-safe; `begin` may be called again and again."""

    def __init__(
        self,
        metrics: Metrics,
        model_pids: Callable[[], list[int]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._metrics, self._model_pids, self._clock = metrics, model_pids, clock
        self._minutes: deque[Minute] = deque(maxlen=KEPT)
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._since, self._counted, self._used = clock(), totals(metrics), used_seconds()
        self.started = self._since

    def begin(self) -> None:
        """Start the thread, with the first request: a process that only imports the service has none."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="history", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(5)

    def minutes(self) -> list[Minute]:
        """The kept minutes, the oldest first, with the one that is under way."""
        with self._lock:
            return [*self._minutes, self._read()[0]]

    def keep(self) -> None:
        """End the minute that is under way."""
        with self._lock:
            minute, self._counted, self._used = self._read()
            self._since = minute.start + minute.seconds
            self._minutes.append(minute)

    def _work(self) -> None:
        while not self._ended.wait(MINUTE - self._clock() % MINUTE):
            try:
                self.keep()
            except Exception:
                log.exception("a minute of the service's history is missing")

    def _read(self) -> tuple[Minute, dict[str, Counts], dict[int, float]]:
        now, counted, used = self._clock(), totals(self._metrics), used_seconds()
        seconds = max(now - self._since, 1e-3)
        added = {route: counts.plus(self._counted.get(route, Counts()), -1) for route, counts in counted.items()}
        added = {route: counts for route, counts in added.items() if counts.requests}
        busy = sum(max(0.0, spent - self._used.get(pid, 0.0)) for pid, spent in used.items())
        memory, models = resident(used), resident(self._model_pids())
        return Minute(self._since, seconds, added, busy / seconds, memory, models, read_gpus()), counted, used


def totals(metrics: Metrics) -> dict[str, Counts]:
    """All that was counted so far, by route."""
    found: dict[str, Counts] = {}
    for sample in _samples(metrics.requests.collect(), "_total"):
        counts = found.setdefault(sample.labels["route"], Counts())
        number, status = int(sample.value), int(sample.labels["status"])
        counts.requests += number
        counts.refused += number if 400 <= status < 500 else 0
        counts.failed += number if status >= 500 else 0
    places = {bound: at for at, bound in enumerate((*SECONDS, float("inf")))}
    cumulative: dict[str, Counter[int]] = {}
    for sample in _samples(metrics.seconds.collect(), "_bucket"):
        at = places[float(sample.labels["le"])]
        cumulative.setdefault(sample.labels["route"], Counter())[at] = int(sample.value)
    for route, counter in cumulative.items():
        up_to = [0, *(counter[at] for at in range(len(places)))]
        found.setdefault(route, Counts()).within = [high - low for low, high in pairwise(up_to)]
    return found


def used_seconds() -> dict[int, float]:
    """Seconds of processors that this process and those that it started have used, by process id."""
    own = psutil.Process()
    found = {}
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.Error):
            times = process.cpu_times()
            found[process.pid] = times.user + times.system
    return found


def resident(pids: Iterable[int]) -> int:
    """Bytes of memory that these processes hold, as far as they still run."""
    size = 0
    for pid in pids:
        with suppress(psutil.Error):
            size += psutil.Process(pid).memory_info().rss
    return size


def _samples(metrics: Iterable[Metric], suffix: str) -> Iterator[Sample]:
    return (sample for metric in metrics for sample in metric.samples if sample.name.endswith(suffix))
