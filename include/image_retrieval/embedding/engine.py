"""Runs batches through a network as fast as the device allows, and isolates failures."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import structlog
import torch

from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import OutOfMemory, Reason
from image_retrieval.models.towers import ImageTower

log = structlog.get_logger()
Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Usable = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
Network = Callable[[torch.Tensor], torch.Tensor]
DETAIL = 300  # characters of an error's first line that are kept
# in messages of allocators that raise general errors
NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "bad allocation", "std::bad_alloc")


@dataclass(frozen=True, slots=True)
class Embedded:
    """A batch's ids, its vectors (images, dimensions), and for each image the reason for a rejection, or None."""

    ids: pa.Array
    vectors: Vectors
    reasons: list[str | None]
    details: list[str | None]


class Engine:
    """Runs a model on batches of up to `size` images.

    If memory is short, batches are halved permanently. An image on which the model fails, although it works on another,
    is rejected alone. `fixed`: the network needs batches of one size, so smaller ones are padded.
    """

    def __init__(self, tower: ImageTower, size: int, network: Network | None = None, *, fixed: bool = False) -> None:
        self.size, self._fixed = size, fixed
        self.tower, self.network = tower, tower.network if network is None else network
        self.on_gpu = tower.device.type == "cuda"
        self._copies = torch.cuda.Stream(tower.device) if self.on_gpu else None  # type: ignore[no-untyped-call]

    def embed(self, batches: Iterable[Batch]) -> Iterator[Embedded]:
        """The vectors of the batches, in order; on a GPU the next batch runs while the caller handles one.

        Raises OutOfMemory if not even one image fits.
        """
        under_way: deque[Callable[[], Embedded]] = deque()
        for batch in batches:
            under_way.append(self._started(batch))
            if len(under_way) > self.on_gpu:
                yield under_way.popleft()()
        while under_way:
            yield under_way.popleft()()

    def _started(self, batch: Batch) -> Callable[[], Embedded]:
        """Start a batch. The returned function waits for it."""
        failure: Exception | None = None
        if len(batch.pixels) <= self.size:  # else it was assembled before the batches were halved
            try:
                finish = self._run(batch.pixels)
                return lambda: _judged(batch.ids, finish())
            except (RuntimeError, MemoryError) as error:
                failure = error
        found = self._mended(batch.pixels, failure)
        return lambda: _judged(batch.ids, *found)

    def _run(self, pixels: torch.Tensor) -> Callable[[], Vectors]:
        """Queue a batch on the device. The returned function waits for its vectors."""
        count = len(pixels)
        if self._fixed and count < self.size:
            pixels = torch.cat([pixels, pixels[-1:].expand(self.size - count, *pixels.shape[1:])])
        with torch.inference_mode():
            if self._copies is None:
                vectors: Vectors = self.network(pixels.to(self.tower.device)).cpu().numpy()[:count]
                return lambda: vectors
            with torch.cuda.stream(self._copies):  # while the previous batch is computed
                there = pixels.to(self.tower.device, non_blocking=True)
            computing = torch.cuda.current_stream(self.tower.device)
            computing.wait_stream(self._copies)
            there.record_stream(computing)
            result = self.network(there)
            back = torch.empty(result.shape, dtype=result.dtype, pin_memory=True).copy_(result, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(computing)

        def finish() -> Vectors:
            done.synchronize()
            vectors: Vectors = back.numpy()[:count]
            return vectors

        return finish

    def _in_parts(self, pixels: torch.Tensor) -> tuple[Vectors, list[str | None]]:
        """The vectors, or errors, of pixels, embedded in batches of the present size."""
        parts = [self._mended(part, None) for part in torch.split(pixels, self.size)]
        return np.concatenate([vectors for vectors, _ in parts]), list(
            itertools.chain.from_iterable(errors for _, errors in parts)
        )

    def _mended(self, pixels: torch.Tensor, error: Exception | None) -> tuple[Vectors, list[str | None]]:
        """The vectors and errors of a batch that failed with `error`, or has not been tried if that is None."""
        if len(pixels) > self.size:
            return self._in_parts(pixels)
        if error is None:
            try:
                return self._run(pixels)(), [None] * len(pixels)
            except (RuntimeError, MemoryError) as raised:
                error = raised
        error = error.with_traceback(None)  # the traceback would keep the batch's memory
        if is_memory(error):
            tried = self.size if self._fixed else len(pixels)
            if tried == 1:
                raise OutOfMemory(f"out of memory with a single image ({first_line(error)})")
            log.warning("out of memory", batch_size=tried, continuing_with=tried // 2, error=first_line(error))
            self.size = tried // 2
            if self.on_gpu:
                torch.cuda.empty_cache()
            return self._in_parts(pixels)
        if len(pixels) > 1:  # find the image by bisection
            halves = [self._mended(half, None) for half in pixels.tensor_split(2)]
            return np.concatenate([halves[0][0], halves[1][0]]), [*halves[0][1], *halves[1][1]]
        self._run(torch.full_like(pixels, 127))()  # raises if the model or the machine fails
        return np.full((1, self.tower.dimensions), np.nan, np.float32), [first_line(error)]


def usable(vectors: Vectors) -> Usable:
    """For each of the vectors (images, dimensions), whether it is finite and of length 1."""
    good: Usable = np.isfinite(vectors).all(axis=1) & (np.abs(np.linalg.norm(vectors, axis=1) - 1) < 1e-3)
    return good


def _judged(ids: pa.Array, vectors: Vectors, errors: list[str | None] | None = None) -> Embedded:
    """The embedded batch, with a reason for each vector that must not be stored."""
    details = errors or [None] * len(vectors)
    reasons = [
        str(Reason.MODEL_FAILED) if detail else None if good else str(Reason.NOT_FINITE)
        for good, detail in zip(usable(vectors), details, strict=True)
    ]
    return Embedded(ids, vectors, reasons, details)


def is_memory(error: Exception) -> bool:
    """Whether an error says that memory does not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in NO_MEMORY)


def first_line(error: Exception) -> str:
    """What an error says, in a line of bounded length."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:DETAIL]
