"""Recognises camera raw by its content, and finds the preview that the camera embedded."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from PIL import Image

from image_retrieval.imaging.exif import TURNS
from image_retrieval.imaging.tiff import Directory, directories

# by their first bytes; those that are TIFF by their directories
SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(start, re.DOTALL), name)
    for start, name in (
        (rb"FUJIFILMCCD-RAW", "Fujifilm's RAF"),
        (rb".{4}ftypcrx ", "Canon's CR3"),
        (rb"II\x1a\0.{2}HEAPCCDR", "Canon's CRW"),
        (rb"(II\*\0|MM\0\*).{4}CR", "Canon's CR2"),
        (rb"IIR[OS]|MMOR", "Olympus' ORF"),
        (rb"IIU\0", "Panasonic's RW2"),
        (rb"FOVb", "Sigma's X3F"),
        (rb"\0MRM", "Minolta's MRW"),
        (rb"(II\*\0|MM\0\*).{4}(IIII|MMMM)", "Phase One's IIQ"),
        (rb"ARECOYK", "Contax's RAW"),
        (rb"qktk|qktn", "Apple's QTK"),
    )
)
DNG_VERSION, PHOTOMETRIC, COMPRESSION, ORIENTATION, MAKE, CFA_PATTERN = 50706, 262, 259, 274, 271, 33422
OF_A_SENSOR = (32803, 34892)  # photometric interpretations: colour filter array, linear raw
OF_CAMERAS = (32767, 32769, 32770, 34713, 65000, 65535)  # compressions: Sony, Epson, Samsung, Nikon, Kodak, Pentax
WIDTH, HEIGHT, EXIF_WIDTH, EXIF_HEIGHT = 256, 257, 0xA002, 0xA003
RW2_EDGES = (4, 5, 6, 7)  # of Panasonic's sensor: top, left, bottom, right
NEARLY = 0.9  # of the raw picture's width and height
MOST_PREVIEWS = 64  # starts of JPEG files that are examined
HEADER = 2**20  # bytes of a JPEG that are searched for its size
START = re.compile(rb"\xff\xd8\xff[\xdb\xe0-\xef\xfe]")  # of a JPEG; sensor data begins differently


@dataclass(frozen=True, slots=True)
class Raw:
    """A camera raw file: the name of its format, width and height as it is stored (pixels, 0 where unknown), EXIF's
    orientation."""

    name: str
    width: int
    height: int
    orientation: int


@dataclass(frozen=True, slots=True)
class Preview:
    """A JPEG file inside a raw one: its position, and its width and height in pixels."""

    start: int
    width: int
    height: int


def recognized(data: bytes) -> Raw | None:
    """The kind of raw file, or None if it is not one."""
    found = list(directories(data))
    name = next((name for start, name in SIGNATURES if start.match(data)), None) or _of_tiff(found)
    if name is None:
        return None
    sizes = [size for directory in found for size in _sizes(directory)]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    if data.startswith(b"FUJIFILM"):
        width, height = _size_of_raf(data)
    if data[4:8] == b"ftyp":
        width, height = _size_of_cr3(data)
    turn = found[0].number(ORIENTATION) if found else 1
    return Raw(name, width, height, turn if turn in TURNS else 1)


def preview(data: bytes, raw: Raw) -> bytes | None:
    """The largest embedded JPEG file, if it has nearly the size of the raw picture; else None."""
    found = max(_previews(data), key=lambda one: one.width * one.height, default=None)
    if found is None or not raw.width or not raw.height:
        return None  # without the raw picture's size, it may be a thumbnail
    sides = zip(sorted((found.width, found.height)), sorted((raw.width, raw.height)), strict=True)
    return data[found.start :] if all(had >= NEARLY * whole for had, whole in sides) else None


def _of_tiff(found: list[Directory]) -> str | None:
    if any(DNG_VERSION in directory.numbers for directory in found):
        return "DNG"
    for directory in found:
        if _is_of_a_sensor(directory):
            make = next((one.texts[MAKE] for one in found if MAKE in one.texts), b"")
            maker = make.partition(b"\0")[0].decode("ascii", "replace").strip()
            return f"TIFF of {maker}" if maker else "TIFF"
    return None


def _is_of_a_sensor(directory: Directory) -> bool:
    seen = directory.number(PHOTOMETRIC) in OF_A_SENSOR or CFA_PATTERN in directory.numbers
    return seen or directory.number(COMPRESSION) in OF_CAMERAS


def _sizes(directory: Directory) -> Iterator[tuple[int, int]]:
    """The widths and heights that a directory gives for the raw picture, never those of a thumbnail."""
    if _is_of_a_sensor(directory):
        yield directory.number(WIDTH), directory.number(HEIGHT)
    yield directory.number(EXIF_WIDTH), directory.number(EXIF_HEIGHT)
    top, left, bottom, right = (directory.number(tag) for tag in RW2_EDGES)
    if right > left and bottom > top:
        yield right - left, bottom - top


def _size_of_raf(data: bytes) -> tuple[int, int]:
    """The width and height of the cropped sensor, or of the whole one, from the directory of a RAF."""
    at = int.from_bytes(data[92:96], "big")
    count, sizes = int.from_bytes(data[at : at + 4], "big"), {}
    at += 4
    for _ in range(min(count, 256)):
        tag, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if length == 4:
            height, width = int.from_bytes(data[at + 4 : at + 6], "big"), int.from_bytes(data[at + 6 : at + 8], "big")
            sizes[tag] = width, height
        at += 4 + length
    return sizes.get(0x111) or sizes.get(0x100) or (0, 0)


def _size_of_cr3(data: bytes) -> tuple[int, int]:
    """The largest width and height of a track of Canon's own codec."""
    entries = re.finditer(rb"CRAW\0{6}..\0{16}(..)(..)", data[: 2**20], re.DOTALL)
    sizes = [(int.from_bytes(one[1], "big"), int.from_bytes(one[2], "big")) for one in entries]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _previews(data: bytes) -> Iterator[Preview]:
    """The embedded JPEG files, including nested ones. Each is assumed to reach to the end: decoders stop at its own."""
    for start in islice(START.finditer(data), MOST_PREVIEWS):
        size = _size_of_jpeg(data[start.start() : start.start() + HEADER])
        if size is not None:
            yield Preview(start.start(), *size)


def _size_of_jpeg(data: bytes) -> tuple[int, int] | None:
    """The width and height of a JPEG from its header; None if it only begins like one."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return image.size if image.mode in ("L", "RGB", "CMYK") else None
    except Exception:  # decoders may raise anything
        return None
