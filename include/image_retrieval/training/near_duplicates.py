"""Finds pictures that show the same as an earlier one, by their perceptual hashes and thumbnails."""

import numpy as np

from image_retrieval.imaging.fingerprints import ALIKE_BITS
from image_retrieval.training.packs import THUMBNAIL_SIDE

ALIKE_LEVELS = 6.0  # of 255: mean difference of two thumbnails; other sizes and qualities of a picture stay below 3
GROWTH = 4096


class Seen:
    """The pictures so far. The hash alone would mix up flat pictures, and the same thing in another colour."""

    def __init__(self) -> None:
        self._count = 0
        self._hashes = np.empty(GROWTH, np.uint64)
        self._thumbnails = np.empty((GROWTH, THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3), np.uint8)

    def add(self, phash: int, thumbnail: bytes) -> bool:
        """Remember a picture unless it looks like an earlier one. Returns whether it is new."""
        if self.knows(phash, thumbnail):
            return False
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
            self._thumbnails = np.concatenate([self._thumbnails, np.empty_like(self._thumbnails)])
        self._hashes[self._count] = _unsigned(phash)
        self._thumbnails[self._count] = np.frombuffer(thumbnail, np.uint8)
        self._count += 1
        return True

    def knows(self, phash: int, thumbnail: bytes) -> bool:
        """Whether a picture looks like an earlier one."""
        apart_in = np.bitwise_count(self._hashes[: self._count] ^ _unsigned(phash))
        [near] = np.nonzero(apart_in <= ALIKE_BITS)
        pixels = np.frombuffer(thumbnail, np.uint8)
        apart = np.abs(self._thumbnails[near].astype(np.int16) - pixels).mean(axis=1)
        return bool((apart <= ALIKE_LEVELS).any())


def _unsigned(phash: int) -> np.uint64:
    return np.uint64(phash & (2**64 - 1))
