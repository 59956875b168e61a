"""Measures the work that a file demands of its decoder, in one pass over its structure, before anything is decoded.

A few bytes can make a decoder go over all pixels, or over a list, once more. The counts here are limited, and counting
takes a time that only grows with the file's size.
"""

import re
import struct
import sys
from collections.abc import Iterator
from itertools import islice

from image_retrieval.errors import ImageRejected, Reason

QUICK_BYTES, QUICK_PIXELS = 4 * 2**20, 4_000_000  # of a picture that a decoder needs at most about 0.1 seconds for
QUICK_JPEG = 16_000_000  # scans × pixels of a JPEG, which is decoded at a fraction of its size
MOST_SCANS = 100  # of a JPEG; encoders write 1, or about 10 if it is progressive
MOST_PASSES = 15  # over as many pixels as a picture may have: scans × pixels, frames × pixels
MOST_SEGMENTS = 10_000  # of a JPEG: tables, metadata
MOST_JUNK = 2**20  # bytes between the segments of a JPEG
MOST_CHUNKS = 200_000  # of a PNG
MOST_BLOCKS = 2_000_000  # of a GIF: data comes in blocks of 255 bytes
MOST_ENTRIES = 100_000  # of all directories of a TIFF
MOST_STRIPS = 2**20  # of a picture of a TIFF
JPEG, PNG, GIF = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a")
TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}  # and BigTIFF
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # FF00 is a byte of data, and D0 to D7 only cut it into parts
SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
SIZES = {  # the positions of width and height, by the file's first bytes
    PNG: (">II", 16),
    GIF[0]: ("<HH", 6),
    GIF[1]: ("<HH", 6),
    b"BM": ("<ii", 18),
}
STRIPS = (273, 279, 324, 325)  # tags that have a value for each strip or tile


def require_bounded(data: bytes, pixels: int, frames: int) -> None:
    """Raise ImageRejected (too_large) for a file that demands more work than any picture needs.

    `pixels` and `frames` are the limits of a picture. Files of other formats, and broken ones, are left to the decoder.
    """
    if data.startswith(JPEG):
        require_few_scans(data, pixels)
    elif data.startswith(PNG):
        _require_few("chunks", _chunks(data), MOST_CHUNKS)
    elif data.startswith(GIF):
        _require_few("blocks", _blocks(data), MOST_BLOCKS)
    elif data[:4] in TIFF:
        _require_few_directories(data, frames)


def require_few_passes(count: int, what: str, picture: int, pixels: int) -> None:
    """Raise ImageRejected if decoding `count` scans or frames of `picture` pixels is too much work.

    `pixels` is the limit of a picture.
    """
    if count > 1 and count * picture > MOST_PASSES * pixels:
        detail = f"{count} {what} of {picture} pixels are over the limit of {MOST_PASSES * pixels} pixels in all"
        raise ImageRejected(Reason.TOO_LARGE, detail)


def require_few_scans(data: bytes, pixels: int) -> None:
    """Raise ImageRejected if a JPEG has more scans, or more bytes between segments, than any real picture."""
    scans, size = 0, 0
    for segments, (kind, frame) in enumerate(_segments(data)):
        if segments > MOST_SEGMENTS:
            raise _too_many("segments", MOST_SEGMENTS)
        size = max(size, frame)
        scans += kind == SOS
        if scans > MOST_SCANS:
            raise _too_many("scans", MOST_SCANS)
    require_few_passes(scans, "scans", size, pixels)


def is_quick(data: bytes) -> bool:
    """Whether a picture's header shows that it is decoded quickly; False if the header does not say."""
    if len(data) > QUICK_BYTES:
        return False
    if data.startswith(JPEG):
        try:
            require_few_scans(data, sys.maxsize)
        except ImageRejected:  # the decoder rejects it just as quickly
            return True
        scans, pixels = _scans_and_pixels(data)
        return scans * pixels <= QUICK_JPEG
    return 0 < _declared_pixels(data) <= QUICK_PIXELS


def _declared_pixels(data: bytes) -> int:
    """Width × height for formats that begin with them; 0 for others."""
    layout, at = next((place for start, place in SIZES.items() if data.startswith(start)), ("", 0))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _pixels_of_webp(data)
    if not layout or len(data) < at + struct.calcsize(layout):
        return 0
    width, height = map(int, struct.unpack_from(layout, data, at))
    return abs(width * height)


def _pixels_of_webp(data: bytes) -> int:
    """The pixels of its canvas, or of its only picture."""
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return 0
    if kind == b"VP8X":
        return (1 + int.from_bytes(body[4:7], "little")) * (1 + int.from_bytes(body[7:10], "little"))
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (1 + (bits & 0x3FFF)) * (1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 ":
        return (int.from_bytes(body[6:8], "little") & 0x3FFF) * (int.from_bytes(body[8:10], "little") & 0x3FFF)
    return 0


def _scans_and_pixels(data: bytes) -> tuple[int, int]:
    """How many scans a JPEG has, and how many pixels."""
    found = list(_segments(data))
    return sum(kind == SOS for kind, _ in found), max((size for _, size in found), default=0)


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG; a frame's marker comes with its number of pixels, others with 0."""
    at, junk, of_data = 2, 0, False
    while (found := MARKER.search(data, at)) is not None:
        junk += 0 if of_data else found.start() - at
        if junk > MOST_JUNK:
            detail = f"more than {MOST_JUNK} bytes between the segments of a JPEG"
            raise ImageRejected(Reason.TOO_LARGE, detail)
        kind, at = data[found.start() + 1], found.end()
        if kind == EOI:
            return
        yield kind, _pixels_of_frame(data, at) if kind in SOF else 0
        of_data = kind == SOS
        if kind not in (1, SOI):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _pixels_of_frame(data: bytes, at: int) -> int:
    return int.from_bytes(data[at + 3 : at + 5], "big") * int.from_bytes(data[at + 5 : at + 7], "big")


def _chunks(data: bytes) -> Iterator[int]:
    """The positions of a PNG's chunks."""
    at, end = len(PNG), len(data)
    while at + 12 <= end:
        yield at
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _blocks(data: bytes) -> Iterator[int]:
    """The positions of the blocks, of at most 255 bytes, of a GIF's extensions and pictures."""
    end = len(data)
    at = 13 + _palette(data[10]) if end > 13 else end
    while at < end and data[at] != 0x3B:
        if data[at] == 0x21:
            at += 2
        elif data[at] == 0x2C and at + 10 <= end:
            at += 11 + _palette(data[at + 9])
        else:  # decoders continue byte by byte
            yield at
            at += 1
            continue
        length = 1
        while at < end and length:
            yield at
            length = data[at]
            at += 1 + length


def _palette(flags: int) -> int:
    return 6 << (flags & 7) if flags & 0x80 else 0


def _require_few_directories(data: bytes, frames: int) -> None:
    """Raise ImageRejected if a TIFF's directories have more frames, entries or strips than any real picture."""
    number = entries = 0
    for number, (count, strips) in enumerate(_directories(data), 1):
        entries += count
        if entries + number > MOST_ENTRIES:
            raise _too_many("entries of directories", MOST_ENTRIES)
        if strips > MOST_STRIPS:
            raise _too_many("strips", MOST_STRIPS)
    if number > frames:
        raise ImageRejected(Reason.TOO_LARGE, f"{number} frames are over the limit of {frames}")


def _directories(data: bytes) -> Iterator[tuple[int, int]]:
    """The number of entries of each directory of the chain, each once, and the largest number of strips of one."""
    order, big = TIFF[data[:4]], data[2:4] in (b"+\0", b"\0+")
    word, counter, size = ("Q", "Q", 20) if big else ("I", "H", 12)
    first, of_count = 8 if big else 4, struct.calcsize("=" + counter)
    seen: set[int] = set()
    at = _number(data, order + word, first)
    while at and at not in seen and at + of_count <= len(data):
        seen.add(at)
        count = min(_number(data, order + counter, at), (len(data) - at) // size)
        start = at + of_count
        named = [
            _number(data, order + word, place + 4)
            for place in range(start, start + size * min(count, MOST_ENTRIES), size)
            if _number(data, order + "H", place) in STRIPS
        ]
        yield count, max(named, default=0)
        at = _number(data, order + word, start + size * count)


def _number(data: bytes, layout: str, at: int) -> int:
    """The number at a position; 0 behind the end."""
    try:
        found: int = struct.unpack_from(layout, data, at)[0]
    except struct.error:
        return 0
    return found


def _require_few(what: str, each: Iterator[int], most: int) -> None:
    if next(islice(each, most, None), None) is not None:
        raise _too_many(what, most)


def _too_many(what: str, most: int) -> ImageRejected:
    return ImageRejected(Reason.TOO_LARGE, f"more than {most} {what}")
