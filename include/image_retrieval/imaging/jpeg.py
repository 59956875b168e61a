"""Handles unusual JPEGs: without an end marker, or with a gain map."""

import hashlib
import io

import pyvips
from PIL import Image

START = b"\xff\xd8\xff"
END = b"\xff\xd9"
FILLERS = (b"", b"\x55\xa6" * 32, b"\xaa\x39" * 32)  # decoders skip these if the pixels are complete
# names of the metadata of pictures that carry a gain map: ISO 21496-1, Ultra HDR of Android, Apple's
GAIN_MAPS = (
    b"urn:iso:std:iso:ts:21496:-1",
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
)


def has_gain_map(data: bytes) -> bool:
    """Whether the further pictures of a file are gain maps, which only set the brightness on an HDR display."""
    return any(name in data for name in GAIN_MAPS)


def with_its_end(data: bytes) -> bytes | None:
    """A JPEG that lacks only its end marker, with that marker added; None if pixels are missing, too.

    Decoders invent missing pixels. So the decoded picture must not depend on the bytes that follow the data, and
    libvips, which stops at a row that libjpeg invented, must not complain.
    """
    bare = data.rstrip(b"\xff")
    try:
        pyvips.Image.jpegload_buffer(bare + END, access="sequential", fail_on="warning").avg()
        seen = {_digest(bare + filler + END) for filler in FILLERS}
    except (pyvips.Error, OSError, SyntaxError):
        return None
    return bare + END if len(seen) == 1 else None


def _digest(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return hashlib.sha256(image.tobytes()).digest()
