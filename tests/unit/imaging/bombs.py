"""Small files that ask for too much."""

import struct
import zlib

from unit.imaging.pictures import encoded, photo


def png_of_zeros(width: int, height: int) -> bytes:
    """A valid black PNG of 1 bit a pixel, a thousandth of its pixels in size."""
    packer = zlib.compressobj(1)
    row = b"\0" * (1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row * 1000) for _ in range(height // 1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def tiff_header(width: int, height: int, offset: int, count: int) -> bytes:
    """An uncompressed grey TIFF whose one strip of `count` bytes lies at `offset`, far behind the end of the file."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: offset, 277: 1, 278: height, 279: count}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + struct.pack("<I", 0)


def gif_of_frames(count: int) -> bytes:
    """A valid GIF of so many frames of one pixel."""
    one = encoded(photo(1, 1).convert("P"), "GIF")
    start = one.index(b"\x2c")
    return one[:start] + one[start:-1] * count + one[-1:]


def progressive_jpeg(width: int, height: int) -> bytes:
    """A progressive JPEG whose header asks the decoder to keep coefficients of so many pixels."""
    data = bytearray(encoded(photo(64, 48), "JPEG", progressive=True, subsampling="4:4:4"))
    place = data.index(b"\xff\xc2") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)
