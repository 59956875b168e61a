"""Decoding in processes of its own: a crash or a hang costs the one image that caused it."""

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

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.resample import Resampled
from image_retrieval.messages import read_message, write_message
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after

WORKER = (sys.executable, "-m", "image_retrieval.imaging.worker")
PACKAGES = str(Path(__file__).parents[2])


# what ends a decoding early: given how to end it, a block that tells whether that happened
Ending = Callable[[Callable[[], object]], AbstractContextManager[threading.Event]]


class GivenUp(Exception):
    """Whoever asked for a picture does not want it any more; its process was ended."""


class Decoders:
    """A fixed number of decoding processes, shared by any number of threads.

    A process works on one image at a time. One that dies or takes too long is replaced, and its image rejected. `count`
    is how many there are, else as many as the settings say; with `idle` they get what others leave of the processor.
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
        environment = {"PYTHONPATH": PACKAGES, "VIPS_CONCURRENCY": "1"}  # nothing else, above all no secret
        with self._changing:
            if self._ended:
                raise RuntimeError("the decoding processes have ended")
            process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self._all.add(process)
            self._starting.add(process)
        return process

    def _make_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process that was started says that it is ready; one that cannot start is no image's fault."""
        if process in self._starting:
            self._starting.discard(process)
            _await_ready(process)

    def _replaced(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """A process that starts in place of a dead one; else the same."""
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
            with suppress(OSError, RuntimeError):  # a dead one stays then: who borrows it next tells
                process = self._replaced(process)
            self._idle.put(process)

    def resample(
        self, data: bytes, options: ResampleOptions | None = None, endings: Sequence[Ending] = ()
    ) -> tuple[Resampled, bytes]:
        """An image at the target size, and its resampled file (empty where none is kept).

        `options` stand for those of all images. Raises ImageRejected, and GivenUp where one of `endings` ended it.
        """
        try:
            return self._resample(data, options or self._options, endings)
        except _ProcessDied:  # perhaps killed for another's memory: the same image gets a second process
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
