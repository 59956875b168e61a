"""Reads the colour information in the header of a JPEG XL picture (ISO/IEC 18181-1:2022, annexes A, D, E)."""

from dataclasses import dataclass

from image_retrieval.imaging.cicp import Cicp

STREAM = b"\xff\x0a"
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
MOST_BOXES = 64  # before the picture
HEADER = 4096  # bytes of the picture that are read
MOST_CHANNELS = 16
ALPHA, SPOT, BLACK, FILTER = 0, 2, 4, 5  # types of extra channels
CUSTOM = 2  # white point and primaries given by coordinates
Choice = tuple[int, int]  # a value, and how many bits follow that are added to it
ENUM: tuple[Choice, ...] = ((0, 0), (1, 0), (2, 4), (18, 6))
SIZE: tuple[Choice, ...] = ((1, 9), (1, 13), (1, 18), (1, 30))
PREVIEW_BY_8: tuple[Choice, ...] = ((16, 0), (32, 0), (1, 5), (33, 9))
PREVIEW: tuple[Choice, ...] = ((1, 6), (65, 8), (321, 10), (1345, 12))
COORDINATE: tuple[Choice, ...] = ((0, 19), (524288, 19), (1048576, 20), (2097152, 21))


@dataclass(frozen=True, slots=True)
class Header:
    """Whether pixels are in libjxl's own colours, their code points, and the meaning of extra channels."""

    own_colours: bool
    cicp: Cicp | None
    premultiplied: bool
    inks: bool


class _Bits:
    """Reads bits, the lowest of each byte first. Raises ValueError behind the last one."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header ends early")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def choose(self, choices: tuple[Choice, ...]) -> int:
        value, count = choices[self.read(2)]
        return value + self.read(count)


def read_header(data: bytes) -> Header | None:
    """The header of a picture, with or without boxes; None if it is broken, or behind too many boxes."""
    try:
        bits = _Bits(_stream(data))
        if bits.read(16) != int.from_bytes(STREAM, "little"):
            return None
        return _header(bits)
    except ValueError:
        return None


def _stream(data: bytes) -> bytes:
    if not data.startswith(CONTAINER):
        return data[:HEADER]
    at = len(CONTAINER)
    for _ in range(MOST_BOXES):
        length, kind, start = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if length == 1:
            length, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        if kind in (b"jxlc", b"jxlp"):
            start += 4 * (kind == b"jxlp")  # skips its number
            return data[start : start + HEADER]
        if length < 8:
            break
        at += length
    raise ValueError("no picture among the boxes")


def _header(bits: _Bits) -> Header:
    _skip_size(bits)
    if bits.read(1):
        return Header(own_colours=True, cicp=None, premultiplied=False, inks=False)
    if bits.read(1):
        _skip_extra_fields(bits)
    _skip_depth(bits)
    bits.read(1)
    count = bits.choose(((0, 0), (1, 0), (2, 4), (1, 12)))
    if count > MOST_CHANNELS:
        raise ValueError("too many channels")
    channels = [_channel(bits) for _ in range(count)]
    own = bool(bits.read(1))
    return Header(own, _code_points(bits), (ALPHA, True) in channels, any(kind == BLACK for kind, _ in channels))


def _skip_size(bits: _Bits) -> None:
    small = bits.read(1)
    for is_width in (False, True):
        if not is_width or not bits.read(3):  # else the width follows from a ratio
            bits.read(5) if small else bits.choose(SIZE)


def _skip_extra_fields(bits: _Bits) -> None:
    bits.read(3)
    if bits.read(1):
        _skip_size(bits)
    if bits.read(1):
        sides = PREVIEW_BY_8 if bits.read(1) else PREVIEW
        bits.choose(sides)
        if not bits.read(3):
            bits.choose(sides)
    if bits.read(1):
        bits.choose(((100, 0), (1000, 0), (1, 10), (1, 30)))
        bits.choose(((1, 0), (1001, 0), (1, 8), (1, 10)))
        bits.choose(((0, 0), (0, 3), (0, 16), (0, 32)))
        bits.read(1)


def _skip_depth(bits: _Bits) -> None:
    if bits.read(1):
        bits.choose(((32, 0), (16, 0), (24, 0), (1, 6)))
        bits.read(4)
    else:
        bits.choose(((8, 0), (10, 0), (12, 0), (1, 6)))


def _channel(bits: _Bits) -> tuple[int, bool]:
    """The type of an extra channel, and whether colours are multiplied by it."""
    if bits.read(1):
        return ALPHA, False
    kind = bits.choose(ENUM)
    _skip_depth(bits)
    bits.choose(((0, 0), (3, 0), (4, 0), (1, 3)))
    bits.read(8 * bits.choose(((0, 0), (0, 4), (16, 5), (48, 10))))
    if kind == SPOT:
        bits.read(64)
    if kind == FILTER:
        bits.choose(((1, 0), (0, 2), (3, 4), (19, 8)))
    return kind, kind == ALPHA and bool(bits.read(1))


def _code_points(bits: _Bits) -> Cicp | None:
    """The code points of the colours; None for sRGB, and for colours given by an ICC profile or coordinates."""
    if bits.read(1):
        return None
    has_profile, space = bits.read(1), bits.choose(ENUM)
    if has_profile or space not in (0, 1):
        return None
    white, primaries = bits.choose(ENUM), 1
    if white == CUSTOM:
        _skip_coordinates(bits, 1)
    if space == 0:
        primaries = bits.choose(ENUM)
        if primaries == CUSTOM:
            _skip_coordinates(bits, 3)
            primaries = 1
    if bits.read(1):
        gamma = bits.read(24) / 1e7
        return Cicp(12 if primaries == 11 else primaries, _nearest_transfer(gamma))
    transfer = bits.choose(ENUM)
    return Cicp(12 if primaries == 11 and white == 1 else primaries, transfer)  # P3 on white D65


def _nearest_transfer(gamma: float) -> int:
    """The code of the nearest plain curve for an exponent from light to values."""
    return min(((1 / 2.2, 4), (1 / 2.8, 5), (1.0, 8)), key=lambda known: abs(known[0] - gamma))[1]


def _skip_coordinates(bits: _Bits, points: int) -> None:
    for _ in range(2 * points):
        bits.choose(COORDINATE)
