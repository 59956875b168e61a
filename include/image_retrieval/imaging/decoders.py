"""Decodes in separate processes: a crash or a hang costs only the image that caused it."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.resample import Resampled
from image_retrieval.messages import read_message, write_message
from image_retrieval.picture_options import ResampleOptions
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after

WORKER = (sys.executable, "-m", "image_retrieval.imaging.worker")
PACKAGES = str(Path(__file__).parents[2])


# ends a decoding early: from a function that ends it, a context whose event says whether that happened
Ending = Callable[[Callable[[], object]], AbstractContextManager[threading.Event]]


class GivenUp(Exception):
    """The picture is no longer wanted; its process was ended."""


class Decoders:
    """A fixed number of decoding processes, shared by any number of threads.

    A process works on one image at a time. If it dies or takes too long, it is replaced and its image rejected. `count`
    is the number of processes, by default that of the settings; with `idle` they run at the lowest priority.
    """

    def __init__(
        self,
        options: ResampleOptions,
        settings: Settings,
        worker: Sequence[str] = WORKER,
        *,
        count: int | None = None,
        idle: bool = False,
    ) -> None:
        limits = (settings.max_image_pixels, settings.max_image_frames, settings.decoder_memory_mb)
        self._command = [*worker, *map(str, limits), *(["idle"] if idle else [])]
        self._options = options
        self._seconds = settings.max_image_seconds
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._starting: set[subprocess.Popen[bytes]] = set()
        self._changing, self._ended = threading.Lock(), False
        self._count = count or settings.cores

    def __enter__(self) -> "Decoders":
        try:
            for process in [self._start() for _ in range(self._count)]:
                self._make_ready(process)
                self._idle.put(process)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, for good."""
        with self._changing:
            self._ended = True
        for process in list(self._all):
            process.kill()
            _close(process)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PYTHONPATH": PACKAGES, "VIPS_CONCURRENCY": "1"}  # nothing else, and no secret
        with self._changing:
            if self._ended:
                raise RuntimeError("the decoding processes have ended")
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self._all.add(process)
            self._starting.add(process)
        return process

    def _make_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a started process reports that it is ready. If it cannot start, no image is at fault."""
        if process in self._starting:
            self._starting.discard(process)
            _await_ready(process)

    def _replaced(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """A new process instead of a dead one; else the same."""
        if process.poll() is None:
            return process
        started = self._start()
        self._all.discard(process)
        _close(process)
        return started

    @contextmanager
    def _borrowed(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self._idle.get()
        try:
            process = self._replaced(process)
            self._make_ready(process)
            yield process
        finally:
            with suppress(OSError, RuntimeError):  # a dead one stays then, and the next borrower reports it
                process = self._replaced(process)
            self._idle.put(process)

    def resample(
        self, data: bytes, options: ResampleOptions | None = None, endings: Sequence[Ending] = ()
    ) -> tuple[Resampled, bytes]:
        """An image at the target size, and its resampled file (empty if none is kept).

        `options` replace the default options. Raises ImageRejected, and GivenUp if one of `endings` ended it.
        """
        try:
            return self._resample(data, options or self._options, endings)
        except _ProcessDied:  # perhaps killed because of another's memory: try the image in a second process
            try:
                return self._resample(data, options or self._options, endings)
            except _ProcessDied as error:
                raise ImageRejected(Reason.DECODER_CRASHED, str(error)) from None

    def _resample(self, data: bytes, options: ResampleOptions, endings: Sequence[Ending]) -> tuple[Resampled, bytes]:
        with self._borrowed() as process, ended_after(self._seconds, process.kill) as too_late, ExitStack() as early:
            given_up = [early.enter_context(ending(process.kill)) for ending in endings]
            try:
                facts, pixels, file = _ask(process, data, options)
            except (EOFError, BrokenPipeError):
                status = process.wait()
                if any(one.is_set() for one in given_up):
                    raise GivenUp from None
                if too_late.is_set():
                    raise ImageRejected(Reason.TIMEOUT, f"not decoded within {self._seconds:g} seconds") from None
                raise _ProcessDied(f"the decoder's process ended twice with {status}") from None
        if "reason" in facts:
            raise ImageRejected(Reason(facts["reason"]), facts["detail"])
        taken = facts.pop("captured_at")
        return Resampled(pixels=pixels, captured_at=taken and datetime.fromisoformat(taken), **facts), file


class _ProcessDied(Exception):
    pass


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    try:
        read_message(process.stdout)
    except EOFError:
        raise RuntimeError(f"a decoding process does not start: it ended with {process.wait()}") from None


def _ask(
    process: subprocess.Popen[bytes], data: bytes, options: ResampleOptions
) -> tuple[dict[str, Any], bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    write_message(process.stdin, options.model_dump_json().encode())
    write_message(process.stdin, data)
    process.stdin.flush()
    facts, pixels, file = (read_message(process.stdout) for _ in range(3))
    return json.loads(facts), pixels, file


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()
    process.wait()
