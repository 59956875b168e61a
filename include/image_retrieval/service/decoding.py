"""Decoding of clients' pictures: small ones never wait for large ones."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import Unavailable
from image_retrieval.imaging.decoders import Decoders, GivenUp
from image_retrieval.imaging.effort import is_quick
from image_retrieval.imaging.resample import Resampled
from image_retrieval.service.asking import current
from image_retrieval.service.errors import Refused
from image_retrieval.service.model_process import ENDING
from image_retrieval.service.places import Places
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after

WAITING, LARGE_WAITING = 64, 4  # pictures that may wait
QUICK_SECONDS = 2.0  # a picture that takes longer is decoded as a large one


class Lane:
    """Decoding processes, and as many places. For any number of threads.

    A picture starts all of them where there are none, and they end when none has come for `service_idle_seconds`.
    """

    def __init__(self, what: str, settings: Settings, waiting: int, each: int, *, idle: bool) -> None:
        count = max(2, settings.cores) if idle else settings.cores
        self._make = partial(Decoders, ResampleOptions(), settings, count=count, idle=idle)
        self._places = Places(what, count, waiting, each)
        self._idle_seconds = settings.service_idle_seconds
        self._changed = threading.Condition()
        self._decoders: Decoders | None = None
        self._watch = threading.Thread()
        self._users, self._used, self._closed = 0, 0.0, False

    def resample(self, data: bytes, options: ResampleOptions, seconds: float | None = None) -> tuple[Resampled, bytes]:
        """As Decoders.resample. Raises GivenUp after `seconds`, and Refused (503) when the asker's time is over."""
        asker = current()
        endings = [asker.ending] + ([] if seconds is None else [partial(ended_after, seconds)])
        with self._places.place(asker), self._started() as decoders:
            try:
                return decoders.resample(data, options, endings)
            except GivenUp:
                asker.left()
                raise

    @contextmanager
    def _started(self) -> Iterator[Decoders]:
        """The processes, which do not end while the block is at work."""
        with self._changed:
            if self._closed:
                raise Unavailable(ENDING)
            if self._decoders is None:
                self._decoders = self._make().__enter__()
                self._watch = threading.Thread(target=self._end_when_idle, name="idle decoders", daemon=True)
                self._watch.start()
            decoders = self._decoders
            self._users += 1
        try:
            yield decoders
        finally:
            with self._changed:
                self._users -= 1
                self._used = time.monotonic()

    def _end_when_idle(self) -> None:
        with self._changed:
            while not self._closed and (left := self._idle_seconds if self._users else self._left()) > 0:
                self._changed.wait(left)
            decoders, self._decoders = self._decoders, None
            if decoders is not None:
                decoders.close()

    def _left(self) -> float:
        return self._used + self._idle_seconds - time.monotonic()

    def close(self) -> None:
        """End the processes for good."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._watch.ident is not None:
            self._watch.join()


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
