"""Removes from a PNG what its pixels do not need: texts of any size, and chunks with wrong checksums."""

import zlib
from dataclasses import dataclass

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.cicp import Cicp

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"tRNS", b"acTL", b"fcTL", b"fdAT")  # the ancillary chunks that affect pixels
FACTS = (b"iCCP", b"cICP", b"eXIf")
TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # texts that may contain the orientation
MOST_PROFILE = 16 * 2**20  # bytes of an unpacked profile
MOST_TEXT = 2**19  # bytes of an unpacked text: half of Pillow's limit


@dataclass(frozen=True, slots=True)
class Stripped:
    """A PNG without its metadata, and the metadata's colour information."""

    data: bytes
    profile: bytes | None
    cicp: Cicp | None


def stripped(data: bytes) -> Stripped:
    """Keep critical chunks, broken or not, and of the others those that pixels need or that are valid and used.

    Bytes behind the last recognisable chunk stay, for the decoder to judge.
    """
    view = memoryview(data)
    kept: list[tuple[int, int]] = [(0, len(SIGNATURE))]
    facts: dict[bytes, memoryview] = {}
    at, end = len(SIGNATURE), len(data)
    while at + 12 <= end:
        kind, next_at = bytes(view[at + 4 : at + 8]), at + 12 + int.from_bytes(view[at : at + 4], "big")
        if next_at > end or not kind.isalpha():
            break
        body = view[at + 8 : next_at - 4]
        if kind == b"IEND" or _stays(kind, body, view[next_at - 4 : next_at], facts):
            _add(kept, at, next_at)
        at = next_at
        if kind == b"IEND":
            break
    _add(kept, at, end)
    whole = len(kept) == 1
    profile, cicp = facts.get(b"iCCP"), facts.get(b"cICP")
    return Stripped(
        data if whole else b"".join(view[start:stop] for start, stop in kept),
        None if profile is None else _unfolded(profile),
        None if cicp is None or len(cicp) != 4 else Cicp(cicp[0], cicp[1]),
    )


def check_pixels(data: bytes) -> None:
    """Raise ImageRejected for a wrong checksum in a pixel chunk, which Pillow does not check."""
    view = memoryview(data)
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        kind, end = bytes(view[at + 4 : at + 8]), at + 8 + int.from_bytes(view[at : at + 4], "big")
        whole = kind in (b"IDAT", b"fdAT") and end + 4 <= len(data)
        if whole and zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ImageRejected(Reason.UNDECODABLE, f"wrong checksum in a chunk {kind.decode()}")
        at = end + 4


def _stays(kind: bytes, body: memoryview, checksum: memoryview, facts: dict[bytes, memoryview]) -> bool:
    """Whether to keep a chunk for the decoder; records valid `facts` by name, each once."""
    if not kind[0] & 0x20 or kind in PIXELS:
        return True
    name = kind
    if kind in (b"tEXt", b"zTXt", b"iTXt"):
        name = bytes(body[:80]).partition(b"\0")[0]
        if name not in TEXTS or not _readable(kind, body[len(name) + 1 :]):
            return False
    elif kind not in FACTS:
        return False
    if name in facts or zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(checksum, "big"):
        return False
    facts[name] = body
    return kind not in (b"iCCP", b"cICP")


def _readable(kind: bytes, body: memoryview) -> bool:
    """Whether Pillow reads a text chunk, given after its keyword, without an error."""
    if kind == b"tEXt":
        return len(body) <= MOST_TEXT
    if kind == b"iTXt":
        return len(body) <= MOST_TEXT and bytes(body[:1]) == b"\0"  # not compressed
    unfolding = zlib.decompressobj()
    try:
        unfolding.decompress(body[1:], MOST_TEXT)
    except zlib.error:
        return False
    return bytes(body[:1]) == b"\0" and unfolding.eof


def _add(kept: list[tuple[int, int]], start: int, stop: int) -> None:
    """Add a part of the file to the kept parts; merge it with the last one if it follows directly."""
    if kept[-1][1] == start:
        kept[-1] = (kept[-1][0], stop)
    else:
        kept.append((start, stop))


def _unfolded(chunk: memoryview) -> bytes | None:
    """The profile in a chunk, or None if it is broken, or larger than any profile in use."""
    start = bytes(chunk[:81]).find(b"\0")
    if start < 0 or bytes(chunk[start + 1 : start + 2]) != b"\0":
        return None
    unfolding = zlib.decompressobj()
    try:
        profile = unfolding.decompress(chunk[start + 2 :], MOST_PROFILE)
    except zlib.error:
        return None
    return profile if unfolding.eof else None
