"""A stream over ranges of bytes."""

import io
from collections.abc import Callable
from typing import Any

SMALLEST, LARGEST = 2**15, 2**20  # bytes of a piece that a HeaderReader fetches


class RangeReader(io.RawIOBase):
    """A read-only, seekable stream over a function that fetches bytes [start, stop)."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size, self._fetch, self._at = size, fetch, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        data = self._fetch(self._at, stop)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class HeaderReader(RangeReader):
    """A stream for what is read here and there, from the front to the back, such as headers.

    What lies close together is fetched at once, in growing pieces; wide gaps are left out. A short fetch costs as much
    time as a piece of LARGEST bytes.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__(size, fetch)
        self._held, self._start, self._ahead = b"", 0, SMALLEST

    def readinto(self, buffer: Any) -> int:
        stop = min(self._at + len(buffer), self._size)
        if stop <= self._at:
            return 0
        end = self._start + len(self._held)
        if not self._start <= self._at <= stop <= end:
            near = self._start <= self._at < end + LARGEST
            self._ahead = min(2 * self._ahead, LARGEST) if near else SMALLEST
            self._start = self._at
            self._held = self._fetch(self._at, min(max(stop, self._at + self._ahead), self._size))
        data = self._held[self._at - self._start : stop - self._start]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
