"""Decoding in processes of its own: a crash or a hang costs the one image that caused it."""

import json
import queue
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from image_retrieval.collection import ResampleOptions
from image_retrieval.deadlines import ended_after
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.resample import Resampled
from image_retrieval.imaging.worker import read_message, write_message
from image_retrieval.settings import Settings

WORKER = (sys.executable, "-m", "image_retrieval.imaging.worker")
PACKAGES = str(Path(__file__).parents[2])


class Decoders:
    """A fixed number of decoding processes, shared by any number of threads.

    A process works on one image at a time. One that dies or takes too long is replaced, and its image rejected.
    """

    def __init__(self, options: ResampleOptions, settings: Settings, worker: Sequence[str] = WORKER) -> None:
        limits = (settings.max_image_pixels, settings.max_image_frames, settings.decoder_memory_mb)
        self._command = [*worker, options.model_dump_json(), *map(str, limits)]
        self._seconds = settings.max_image_seconds
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: set[subprocess.Popen[bytes]] = set()
        self._count = settings.cores

    def __enter__(self) -> "Decoders":
        try:
            started = [self._start() for _ in range(self._count)]
            for process in started:
                self._idle.put(_ready(process))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._all:
            process.kill()
            _close(process)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PYTHONPATH": PACKAGES, "VIPS_CONCURRENCY": "1"}  # nothing else, above all no secret
        process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._all.add(process)
        return process

    @contextmanager
    def _borrowed(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self._idle.get()
        try:
            if process.poll() is not None:
                self._all.discard(process)
                _close(process)
                process = self._start()
                _ready(process)
            yield process
        finally:
            self._idle.put(process)  # a dead one, too: who borrows it next replaces it

    def resample(self, data: bytes) -> tuple[Resampled, bytes]:
        """An image at the target size, and its resampled file (empty where none is kept). Raises ImageRejected."""
        try:
            return self._resample(data)
        except _ProcessDied:  # perhaps killed for another's memory: the same image gets a second process
            try:
                return self._resample(data)
            except _ProcessDied as error:
                raise ImageRejected(Reason.DECODER_CRASHED, str(error)) from None

    def _resample(self, data: bytes) -> tuple[Resampled, bytes]:
        with self._borrowed() as process, ended_after(self._seconds, process.kill) as too_late:
            try:
                facts, pixels, file = _ask(process, data)
            except (EOFError, BrokenPipeError):
                status = process.wait()
                if too_late.is_set():
                    raise ImageRejected(Reason.TIMEOUT, f"not decoded within {self._seconds:g} seconds") from None
                raise _ProcessDied(f"the decoder's process ended twice with {status}") from None
        if "reason" in facts:
            raise ImageRejected(Reason(facts["reason"]), facts["detail"])
        taken = facts.pop("captured_at")
        return Resampled(pixels=pixels, captured_at=taken and datetime.fromisoformat(taken), **facts), file


class _ProcessDied(Exception):
    pass


def _ready(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The same process once it has said that it is ready; a decoder that cannot start is no image's fault."""
    assert process.stdout is not None
    try:
        read_message(process.stdout)
    except EOFError:
        raise RuntimeError(f"a decoding process does not start: it ended with {process.wait()}") from None
    return process


def _ask(process: subprocess.Popen[bytes], data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
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
