"""Decoding of clients' pictures: small ones never wait for large ones."""

import threading
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.decoders import Decoders, GivenUp
from image_retrieval.imaging.effort import is_quick
from image_retrieval.imaging.resample import Resampled
from image_retrieval.service.asking import current
from image_retrieval.service.errors import Refused
from image_retrieval.service.places import Places
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after

WAITING, LARGE_WAITING = 64, 4  # pictures that may wait
QUICK_SECONDS = 2.0  # a picture that takes longer is decoded as a large one


class Lane:
    """Decoding processes, which the first picture starts, and as many places. Thread-safe."""

    def __init__(self, what: str, settings: Settings, waiting: int, each: int, *, idle: bool) -> None:
        self._count = max(2, settings.cores) if idle else settings.cores
        self._decoders = Decoders(ResampleOptions(), settings, count=self._count, idle=idle)
        self._places = Places(what, self._count, waiting, each)
        self._ends = ExitStack()
        self._starting = threading.Lock()
        self._started = False

    def resample(self, data: bytes, options: ResampleOptions, seconds: float | None = None) -> tuple[Resampled, bytes]:
        """As Decoders.resample. Raises GivenUp after `seconds`, and Refused (503) when the asker's time is over."""
        asker = current()
        endings = [asker.ending] + ([] if seconds is None else [partial(ended_after, seconds)])
        with self._places.place(asker):
            self._start()
            try:
                return self._decoders.resample(data, options, endings)
            except GivenUp:
                asker.left()
                raise

    def _start(self) -> None:
        with self._starting:
            if not self._started:
                self._ends.enter_context(self._decoders)
                self._started = True

    def close(self) -> None:
        """End the processes."""
        self._ends.close()


class Pictures(AbstractContextManager["Pictures"]):
    """Two lanes. Large pictures have processes of their own, of the lowest priority."""

    def __init__(self, settings: Settings) -> None:
        self._small = Lane("a decoder", settings, WAITING, settings.cores, idle=False)
        each = max(1, settings.cores - 1)
        self._large = Lane("a decoder of large pictures", settings, LARGE_WAITING, each, idle=True)

    def resample(self, data: bytes, options: ResampleOptions) -> tuple[Resampled, bytes]:
        """A picture at the target size, and its resampled file. Raises ImageRejected and Refused (503)."""
        if is_quick(data):
            try:
                return self._small.resample(data, options, QUICK_SECONDS)
            except GivenUp:
                pass
        try:
            return self._large.resample(data, options)
        except GivenUp:
            raise Refused(503, "too_slow", "the picture was not decoded in time", wait=5) from None

    def __exit__(self, *_: object) -> None:
        self._small.close()
        self._large.close()
