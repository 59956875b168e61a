"""Reads the directories of a TIFF to find out what it holds, within limits for any bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

MOST_DIRECTORIES = 32
MOST_ENTRIES = 512  # of a directory
MOST_VALUES = 32  # of an entry
SUB_DIRECTORIES, EXIF = 330, 34665
MARKS = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")  # TIFF, and the variants of Olympus and Panasonic
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4}  # bytes of a value, for each supported type
CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
TEXTS = (2, 7)


@dataclass(frozen=True, slots=True)
class Directory:
    """The integers and texts of a directory by their tags."""

    numbers: dict[int, tuple[int, ...]] = field(default_factory=dict)
    texts: dict[int, bytes] = field(default_factory=dict)

    def number(self, *tags: int) -> int:
        """The first value of the first of these tags that is present, else 0."""
        return next((self.numbers[tag][0] for tag in tags if self.numbers.get(tag)), 0)


def directories(data: bytes) -> Iterator[Directory]:
    """The directories of the chain, and those that they point to, each once; none if the file is not a TIFF."""
    if data[:4] not in MARKS:
        return
    order = "<" if data[:2] == b"II" else ">"
    waiting = [struct.unpack_from(order + "I", data, 4)[0]] if len(data) >= 8 else []
    seen: set[int] = set()
    while waiting and len(seen) < MOST_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or not 0 < at <= len(data) - 2:
            continue
        seen.add(at)
        found, following = _directory(data, at, order)
        yield found
        waiting += [*found.numbers.get(SUB_DIRECTORIES, ()), *found.numbers.get(EXIF, ()), following]


def _directory(data: bytes, at: int, order: str) -> tuple[Directory, int]:
    """The directory at a position, and the position of the next one of its chain."""
    found = Directory()
    count = struct.unpack_from(order + "H", data, at)[0]
    for place in range(at + 2, at + 2 + 12 * min(count, MOST_ENTRIES), 12):
        if place + 12 > len(data):
            return found, 0
        tag, kind, length = struct.unpack_from(order + "HHI", data, place)
        if kind not in SIZES or not length:
            continue
        size = SIZES[kind] * length
        start = place + 8 if size <= 4 else struct.unpack_from(order + "I", data, place + 8)[0]
        if kind in TEXTS:
            found.texts[tag] = data[start : start + min(size, MOST_VALUES)]
        length = min(length, MOST_VALUES)
        if kind in CODES and start + SIZES[kind] * length <= len(data):
            found.numbers[tag] = struct.unpack_from(f"{order}{length}{CODES[kind]}", data, start)
    end = at + 2 + 12 * count
    return found, struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0
