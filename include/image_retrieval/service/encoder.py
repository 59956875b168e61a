"""Vectors of query pictures and texts: batched as they come, in the model's own process, and remembered.

A model's process ends when nobody has asked for `service_idle_seconds`, or soon where no collection shows the model any
more. The next request starts another one.
"""

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import ImageRejected, Reason, Unavailable, UserError
from image_retrieval.models.digest import require_digest
from image_retrieval.service.asking import current
from image_retrieval.service.errors import Refused
from image_retrieval.service.metrics import Metrics
from image_retrieval.service.model_process import ENDING, ModelFailed, ModelProcess
from image_retrieval.settings import Settings

Vector = NDArray[np.float32]
REMEMBERED = 4096  # vectors: 16 MB at 1,024 dimensions
LOOK_SECONDS = 30.0  # how often an idle process's model is looked up: does a collection show it?


@dataclass(frozen=True, slots=True)
class Task:
    """A text, 8-bit RGB pixels of a width and height, or None for the model's facts; and where the answer goes.

    `digest`: of the model that must answer; None where any will do.
    """

    given: str | bytes | None
    size: tuple[int, int] | None = None
    digest: str | None = None
    answer: "Future[Any]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory: its process, how many pictures and texts wait for it, and since when it has had no work."""

    model: ModelOptions
    pid: int
    waiting: int
    idle_seconds: float


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
    """One process and one queue per model, each started by the first who asks for it. For any number of threads.

    `is_shown` tells whether a collection shows a model's vectors. Where none does, its idle process ends within
    `look_seconds`.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        process: Callable[[ModelOptions, Settings], ModelProcess] = ModelProcess,
        is_shown: Callable[[ModelOptions], bool] = lambda _: True,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._settings, self._metrics, self._process = settings, metrics, process
        self._is_shown, self._look_seconds = is_shown, min(look_seconds, settings.service_idle_seconds)
        self._lines: dict[ModelOptions, _Line] = {}
        self._lock, self._closed = threading.Lock(), False

    def image(self, model: ModelOptions, pixels: bytes, size: tuple[int, int], digest: str | None = None) -> Vector:
        """The vector (dimensions,) of 8-bit RGB pixels. Raises Refused (503), UserError, ImageRejected.

        `digest` is the model's: UserError where its files are others by now.
        """
        found: Vector = self._ask(model, Task(pixels, size, digest))
        return found

    def text(self, model: ModelOptions, text: str, digest: str | None = None) -> Vector:
        """The vector (dimensions,) of a text. Raises as `image`, and UserError where the model reads none."""
        found: Vector = self._ask(model, Task(text, digest=digest))
        return found

    def facts(self, model: ModelOptions) -> dict[str, Any]:
        """`digest`, `size` (width, height) and `dimensions` of a model. Raises Refused (503), UserError."""
        with self._lock:
            line = self._lines.get(model)
        found: dict[str, Any] = (line and line.process.loaded) or self._ask(model, Task(None))
        return found

    def pids(self) -> list[int]:
        """The process ids of the loaded models."""
        return [model.pid for model in self.loaded()]

    def loaded(self) -> list[Loaded]:
        """The models whose processes run."""
        with self._lock:
            lines = list(self._lines.values())
        now = time.monotonic()
        found = [(line.process.pid, line) for line in lines]
        return [Loaded(line.model, pid, line.waiting(), now - line.used) for pid, line in found if pid is not None]

    def close(self) -> None:
        """End the models' processes, for good."""
        with self._lock:
            self._closed = True
            lines, self._lines = self._lines, {}
        for line in lines.values():
            line.close()

    def _ask(self, model: ModelOptions, task: Task) -> Any:
        left = min(self._settings.service_seconds, current().left())
        with self._lock:  # so that no line ends between its choice and the task's arrival
            if self._closed:
                raise Unavailable(ENDING)
            line = self._lines.get(model)
            if line is None:
                process = self._process(model, self._settings)
                line = _Line(model, process, self._settings, self._metrics, self._may_end, self._look_seconds)
                self._lines[model] = line
            line.add(task)
        try:
            return task.answer.result(left)
        except TooLate:
            task.answer.cancel()
            message = f"no answer of the model within {self._settings.service_seconds:g} s"
            raise Refused(503, "too_slow", message, "it may still be loading: try again in a moment", wait=5) from None

    def _may_end(self, line: "_Line", idle: float) -> bool:
        """Whether a line may end that had nothing to do for so many seconds; nobody is sent to it from then on."""
        if idle < self._settings.service_idle_seconds and self._is_shown(line.model):
            return False
        with self._lock:
            if not line.is_empty():
                return False
            if self._lines.get(line.model) is line:
                del self._lines[line.model]
        return True


class _Line:
    """Those who wait for one model. While it computes others queue up, and are the next batch: none waits for more.

    Its thread ends, and with it the model's process, where nobody is waiting and `may_end` agrees, which is asked every
    `look_seconds`.
    """

    def __init__(
        self,
        model: ModelOptions,
        process: ModelProcess,
        settings: Settings,
        metrics: Metrics,
        may_end: "Callable[[_Line, float], bool]",
        look_seconds: float,
    ) -> None:
        self.model, self.process = model, process
        self._settings, self._metrics = settings, metrics
        self._may_end, self._look_seconds = may_end, look_seconds
        self._waiting: queue.Queue[Task | None] = queue.Queue(settings.service_queue)
        self._closed, self.used = threading.Event(), time.monotonic()
        self._thread = threading.Thread(target=self._work, name="encoder", daemon=True)
        self._thread.start()

    def add(self, task: Task) -> None:
        """Let a task wait for its answer. Raises Refused (503) where too many do."""
        try:
            self._waiting.put_nowait(task)
        except queue.Full:
            raise Refused(503, "busy", "too many wait for this model", "try again in a moment", wait=1) from None

    def is_empty(self) -> bool:
        """Whether nobody waits."""
        return self._waiting.empty()

    def waiting(self) -> int:
        """How many wait."""
        return self._waiting.qsize()

    def close(self) -> None:
        """End the process at once, and what waits for it."""
        self._closed.set()
        with suppress(queue.Full):  # its thread is at work then, and looks afterwards
            self._waiting.put_nowait(None)
        self.process.end()
        self._thread.join(5)
        self.process.close()

    def _work(self) -> None:
        while not self._closed.is_set():
            try:
                first = self._waiting.get(timeout=self._look_seconds)
            except queue.Empty:
                if self._may_end(self, time.monotonic() - self.used):
                    break
                continue
            self._answer(self._batch(first))
            self.used = time.monotonic()
        self.process.close()
        while not self.is_empty():
            _fail(self._batch(self._waiting.get()), Unavailable(ENDING))

    def _batch(self, first: Task | None) -> list[Task]:
        """A task and those that wait behind it, but for those that nobody waits for any more."""
        batch = [first]
        while len(batch) < self._settings.service_batch and not self._waiting.empty():
            batch.append(self._waiting.get())
        self._metrics.waiting.set(self._waiting.qsize())
        return [task for task in batch if task is not None and task.answer.set_running_or_notify_cancel()]

    def _answer(self, batch: list[Task]) -> None:
        try:
            facts = self.process.facts() if batch else {}
        except Exception as error:
            _fail(batch, error)
            return
        for task in batch:
            if task.given is None:
                task.answer.set_result(facts)
        sized = [task for task in batch if task.given is not None]
        for size in dict.fromkeys(task.size for task in sized):
            self._embed([task for task in sized if task.size == size], size)

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
            try:
                require_digest(self.process.loaded["digest"], task.digest, self.model.source)
            except UserError as error:
                _fail([task], error)
                continue
            if np.isfinite(vector).all():
                task.answer.set_result(vector.copy())  # not a view that keeps the whole batch
            else:
                _fail([task], ImageRejected(Reason.NOT_FINITE, "the model's vector is not finite"))


def _fail(tasks: list[Task], error: Exception) -> None:
    for task in tasks:
        task.answer.set_exception(error)
