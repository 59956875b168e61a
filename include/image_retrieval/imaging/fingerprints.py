"""Fingerprints of images: of their bytes, and of what they show."""

import hashlib

import numpy as np
from PIL import Image

ALIKE_BITS = 6  # of 64: perceptual hashes of the same picture differ in at most this many
HASHED_SIDE = 32  # width and height, in pixels, of the picture that is hashed
KEPT = 8  # lowest frequencies in each direction: 64 bits
_COSINES = np.cos(np.pi / HASHED_SIDE * np.outer(np.arange(KEPT), np.arange(HASHED_SIDE) + 0.5))  # rows of the DCT-II


def sha256(data: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def perceptual_hash(image: Image.Image) -> int:
    """A 64-bit hash that differs in few bits if two pictures look alike, as a signed integer (PostgreSQL's bigint).

    `image` is the whole picture, stretched to HASHED_SIDE². The DCT hash of C. Zauner, Implementation and Benchmarking
    of Perceptual Image Hash Functions (2010): it takes the 8×8 lowest frequencies of the grey picture's DCT, and sets a
    bit for each coefficient above their median. The first coefficient is the highest bit.
    """
    low = _COSINES @ np.asarray(image.convert("L"), np.float64) @ _COSINES.T
    bits = np.packbits(low > np.median(low)).tobytes()
    return int.from_bytes(bits, "big", signed=True)
