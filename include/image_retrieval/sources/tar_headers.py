"""Reads the headers of a plain tar, and passes over what lies between them.

Python's own reader ends quietly at a damaged header in the middle, so that the members behind it would seem to be gone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

BLOCK = 512
LONGEST = 2**20  # bytes of a header's extension
POSIX = b"ustar\0"
FILES, LINKS, FOLDER, OTHERS = b"\x0007", b"12", b"5", b"346"
LONG_NAME, LONG_LINK, PAX, PAX_SHARED, OLD_SPARSE = b"L", b"K", b"xX", b"g", b"S"
RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=", re.DOTALL)
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


class TarDamaged(Exception):
    """A tar cannot be read to its end. The text continues after its name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A member: its name, where its bytes lie, and why they cannot be read, or None."""

    name: str
    offset: int
    size: int
    fault: str | None = None


def read_entries(stream: IO[bytes], size: int) -> Iterator[Entry]:
    """The files of a tar of `size` bytes, in their order; folders and devices are left out.

    Raises TarDamaged, also for a tar that is cut off between two members: what writes tars ends them with zeros.
    """
    if not size:
        raise TarDamaged("is empty")
    shared: dict[str, bytes] = {}  # what pax headers say of all further members
    told: dict[str, bytes] = {}  # what headers say of the next one
    at, ended = 0, False
    while at < size and not ended:
        block = _taken(stream, at, BLOCK, size)
        if not any(block):
            ended = True
            continue
        header = _Header(block, at)
        kind, body = header.kind, at + BLOCK
        if kind in LONG_NAME + LONG_LINK + PAX + PAX_SHARED:
            if header.size > LONGEST:
                raise TarDamaged(f"has a header of {header.size} bytes at byte {at}")
            text = _taken(stream, body, header.size, size)
            at = body + _padded(header.size)
            if kind in PAX + PAX_SHARED:
                (shared if kind in PAX_SHARED else told).update(_records(text, body))
            elif kind in LONG_NAME:
                told["path"] = text.partition(b"\0")[0]
            continue
        said, told = {**shared, **told}, {}
        length = _number(said.get("size", b""), header.size, at)
        if kind in OLD_SPARSE:
            body = _behind_map(stream, block, body, size)
        entry = _entry(header, said, body, length)
        at = body + (0 if kind in LINKS + FOLDER + OTHERS else _padded(length))
        if at > size:
            raise TarDamaged(f"ends in the middle of {entry.name[:200]!a}")
        if entry.name and not entry.name.endswith("/") and kind in FILES + LINKS + OLD_SPARSE:
            yield entry
    if told:
        raise TarDamaged("ends behind a header that belongs to another one")
    if not ended:
        raise TarDamaged("ends without the zeros that end a tar, so that more may be missing")


class _Header:
    """What a header block says. Raises TarDamaged if its checksum is wrong."""

    def __init__(self, block: bytes, at: int) -> None:
        if not at and block.startswith(COMPRESSED):
            raise TarDamaged("is compressed, so that no part of it can be read alone: store it as a plain tar")
        blank = block[:148] + b" " * 8 + block[156:]
        try:
            checksum = _octal(block[148:156])
        except ValueError:
            checksum = -1
        if checksum != sum(blank) and checksum != _signed_sum(blank):
            raise TarDamaged(f"has no valid header at byte {at}")
        self.kind = block[156:157]
        self.name = block[:100].partition(b"\0")[0]
        prefix = block[345:500].partition(b"\0")[0]
        if block[257:263] == POSIX and prefix:
            self.name = prefix + b"/" + self.name
        try:
            self.size = _size(block[124:136])
        except ValueError:
            raise TarDamaged(f"has no valid size in the header at byte {at}") from None


def _signed_sum(block: bytes) -> int:
    """The checksum as some old writers take it."""
    return sum(block) - 256 * sum(byte > 127 for byte in block)


def _octal(text: bytes) -> int:
    return int(text.partition(b"\0")[0].decode("ascii", "strict").strip() or "0", 8)


def _size(text: bytes) -> int:
    """A size, in octal digits or, as GNU's tar writes large ones, in binary. Raises ValueError."""
    found = int.from_bytes(text[1:], "big") if text[0] == 0o200 else _octal(text)
    if not 0 <= found < 2**60:
        raise ValueError
    return found


def _number(text: bytes, otherwise: int, at: int) -> int:
    if not text:
        return otherwise
    if not text.isdigit() or len(text) > 18:
        raise TarDamaged(f"has no valid size before the header at byte {at}")
    return int(text)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _taken(stream: IO[bytes], at: int, length: int, size: int) -> bytes:
    stream.seek(at)
    data = stream.read(length) if at + length <= size else b""
    if len(data) != length:
        raise TarDamaged(f"ends in the middle of a header, at byte {min(at + length, size)}")
    return data


def _records(text: bytes, at: int) -> dict[str, bytes]:
    """The keys and values of a pax header."""
    found: dict[str, bytes] = {}
    place = 0
    while place < len(text) and text[place]:
        record = RECORD.match(text, place)
        end = place + int(record[1]) if record else 0
        if record is None or not record.end() < end <= len(text) or text[end - 1 : end] != b"\n":
            raise TarDamaged(f"has a damaged header at byte {at}")
        found[record[2].decode("utf-8", "replace")] = text[record.end() : end - 1]
        place = end
    return found


def _behind_map(stream: IO[bytes], block: bytes, body: int, size: int) -> int:
    """Where the bytes of a sparse file of GNU's old form begin, behind the rest of its map."""
    more = block[482]
    while more:
        more = _taken(stream, body, BLOCK, size)[504]
        body += BLOCK
    return body


def _entry(header: _Header, said: dict[str, bytes], body: int, size: int) -> Entry:
    raw = said.get("GNU.sparse.name") or said.get("path") or header.name
    name = raw.decode("utf-8", "surrogateescape").lstrip("/")
    while name.startswith("./"):
        name = name[2:].lstrip("/")
    fault = None
    if header.kind in LINKS:
        fault = "is a link in the tar, not a file"
    elif header.kind in OLD_SPARSE or any(key.startswith("GNU.sparse.") for key in said):
        fault = "is stored with holes (as a sparse file): pack it without --sparse"
    return Entry(name, body, size, fault)
