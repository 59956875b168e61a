"""Metrics of the service for Prometheus."""

from collections.abc import Callable, Iterable

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX = "image_retrieval"
SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class Metrics:
    """The metrics of one app, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            f"{PREFIX}_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            f"{PREFIX}_request_seconds", "From request to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.at_once = Gauge(f"{PREFIX}_requests_at_once", "Requests under way.", registry=self.registry)
        self.batch = Histogram(
            f"{PREFIX}_batch_size",
            "Pictures or texts that a model took at once.",
            ("kind",),
            buckets=(1, 2, 4, 8, 16, 32, 64, 128),
            registry=self.registry,
        )
        self.model_seconds = Histogram(
            f"{PREFIX}_model_seconds", "A batch in the model.", ("kind",), buckets=SECONDS, registry=self.registry
        )
        self.waiting = Gauge(f"{PREFIX}_waiting", "Pictures and texts that wait for a model.", registry=self.registry)
        self.remembered = Counter(
            f"{PREFIX}_remembered", "Vectors that needed no model.", ("kind", "by"), registry=self.registry
        )

    def watch_memory(self, pids: Callable[[], list[int]]) -> None:
        """Also report the memory of these processes."""
        self.registry.register(_Memory(pids))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Memory(Collector):
    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(f"{PREFIX}_models_memory_bytes", "Resident memory of the models' processes.")]

    def collect(self) -> Iterable[Metric]:
        resident = 0
        for pid in self._pids():
            try:
                resident += psutil.Process(pid).memory_info().rss
            except psutil.NoSuchProcess:
                continue
        (family,) = self.describe()
        family.add_sample(family.name, {}, resident)
        return [family]


def method_label(method: str) -> str:
    """A method as a label. Unknown methods share one label: each would be a new time series."""
    return method if method in METHODS else "other"
