"""Vectors of query pictures and texts: batched as they arrive, computed in the model's own process, and cached."""

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.service.asking import current
from image_retrieval.service.errors import Refused
from image_retrieval.service.metrics import Metrics
from image_retrieval.service.model_process import ModelFailed, ModelProcess
from image_retrieval.settings import Settings

Vector = NDArray[np.float32]
REMEMBERED = 4096  # vectors: 16 MB at 1,024 dimensions


@dataclass(frozen=True, slots=True)
class Task:
    """A text, 8-bit RGB pixels of `size` (width, height), or None for the model's facts; and the answer's future."""

    given: str | bytes | None
    size: tuple[int, int] | None = None
    answer: "Future[Any]" = field(default_factory=Future)


class Memory:
    """A cache of the vectors that were used last. Thread-safe."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size, self._kept, self._lock = size, OrderedDict[Any, Vector](), threading.Lock()

    def get(self, key: Any) -> Vector | None:
        """The vector that is kept under a key, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Any, vector: Vector) -> None:
        """Keep a vector, and drop the least recently used one if there are too many."""
        with self._lock:
            self._kept[key] = vector
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


class Encoder:
    """One process and one queue per model, started by the first request for it. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        process: Callable[[ModelOptions, Settings], ModelProcess] = ModelProcess,
    ) -> None:
        self._settings, self._metrics, self._process = settings, metrics, process
        self._lines: dict[ModelOptions, _Line] = {}
        self._lock = threading.Lock()

    def image(self, model: ModelOptions, pixels: bytes, size: tuple[int, int]) -> Vector:
        """The vector (dimensions,) of 8-bit RGB pixels. Raises Refused (503), UserError, ImageRejected."""
        found: Vector = self._ask(model, Task(pixels, size))
        return found

    def text(self, model: ModelOptions, text: str) -> Vector:
        """The vector (dimensions,) of a text. Raises Refused (503), and UserError if the model reads no texts."""
        found: Vector = self._ask(model, Task(text))
        return found

    def facts(self, model: ModelOptions) -> dict[str, Any]:
        """`digest`, `size` (width, height) and `dimensions` of a model. Raises Refused (503), UserError."""
        found: dict[str, Any] = self._ask(model, Task(None))
        return found

    def pids(self) -> list[int]:
        """The process ids of the loaded models."""
        return [line.process.pid for line in list(self._lines.values()) if line.process.pid is not None]

    def close(self) -> None:
        """End the models' processes."""
        with self._lock:
            lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()

    def _ask(self, model: ModelOptions, task: Task) -> Any:
        with self._lock:
            if model not in self._lines:
                self._lines[model] = _Line(self._process(model, self._settings), self._settings, self._metrics)
            line = self._lines[model]
        return line.ask(task)


class _Line:
    """The queue of one model. Tasks that arrive while it computes are the next batch; no batch waits to fill."""

    def __init__(self, process: ModelProcess, settings: Settings, metrics: Metrics) -> None:
        self.process, self._settings, self._metrics = process, settings, metrics
        self._waiting: queue.Queue[Task] = queue.Queue(settings.service_queue)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    def ask(self, task: Task) -> Any:
        left = current().left()
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            raise Refused(503, "busy", "too many wait for this model", "try again in a moment", wait=1) from None
        try:
            return task.answer.result(min(self._settings.service_seconds, left))
        except TooLate:
            task.answer.cancel()
            told = f"the model did not answer within {self._settings.service_seconds:g} s"
            raise Refused(503, "too_slow", told, "it may still be loading: try again in a moment", wait=5) from None

    def close(self) -> None:
        self._closed.set()
        self.process.end()
        self._thread.join(5)
        self.process.close()

    def _work(self) -> None:
        while not self._closed.is_set():
            batch = self._next_batch()
            try:
                facts = self.process.facts() if batch else {}
            except Exception as error:
                _fail(batch, error)
                continue
            for task in batch:
                if task.given is None:
                    task.answer.set_result(facts)
            sized = [task for task in batch if task.given is not None]
            for size in dict.fromkeys(task.size for task in sized):
                self._embed([task for task in sized if task.size == size], size)

    def _next_batch(self) -> list[Task]:
        try:
            batch = [self._waiting.get(timeout=1)]
        except queue.Empty:
            return []
        while len(batch) < self._settings.service_batch and not self._waiting.empty():
            batch.append(self._waiting.get())
        self._metrics.waiting.set(self._waiting.qsize())
        return [task for task in batch if task.answer.set_running_or_notify_cancel()]

    def _embed(self, tasks: list[Task], size: tuple[int, int] | None) -> None:
        kind, started = "image" if size else "text", time.monotonic()
        try:
            if size:
                vectors = self.process.images([task.given for task in tasks if isinstance(task.given, bytes)], size)
            else:
                vectors = self.process.texts([task.given for task in tasks if isinstance(task.given, str)])
        except ModelFailed as error:
            if len(tasks) == 1:
                _fail(tasks, ImageRejected(Reason.MODEL_FAILED, str(error)))
            for task in tasks if len(tasks) > 1 else ():  # only one of them is to blame
                self._embed([task], size)
            return
        except Exception as error:
            _fail(tasks, error)
            return
        self._metrics.batch.labels(kind).observe(len(tasks))
        self._metrics.model_seconds.labels(kind).observe(time.monotonic() - started)
        for task, vector in zip(tasks, vectors, strict=True):
            if np.isfinite(vector).all():
                task.answer.set_result(vector.copy())  # not a view that keeps the whole batch
            else:
                _fail([task], ImageRejected(Reason.NOT_FINITE, "the model's vector is not finite"))


def _fail(tasks: list[Task], error: Exception) -> None:
    for task in tasks:
        task.answer.set_exception(error)
