"""Recognises pictures by their content, never by their name."""

import io

import pi_heif
from PIL import Image

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging import jxl
from image_retrieval.imaging.signatures import description_of
from image_retrieval.picture_options import FORMATS

# Pillow's names, in the order in which they are tried; its JPEG includes MPO. None of them starts another program
ACCEPTED = tuple(name for name in FORMATS if name != "MPO")
BRANDS = {  # of ISO media files that hold pictures, and their decoders
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
}
ANY_CODEC = {b"mif1", b"msf1", b"mif2", b"mif3"}
ENDED_EARLY = ("truncated", "end of file", "unexpected end", "requires a buffer of")  # in decoders' messages

Image.init()
pi_heif.register_heif_opener(thumbnails=False)
pi_heif.options.DECODE_THREADS = 1  # there is already one process per core
jxl.register()


def open_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """The opened image: its header is read, but no pixel is decoded. Raises ImageRejected.

    `max_pixels` also limits what a decoder unpacks while opening. If a file has the signature of a format, the
    rejection has that decoder's message.
    """
    if not data:
        raise ImageRejected(Reason.EMPTY_FILE)
    Image.MAX_IMAGE_PIXELS = max_pixels
    names = signed(data)
    refusals = []
    for name in (*names, *(name for name in ACCEPTED if Image.OPEN[name][1] is None)):
        try:
            image = Image.OPEN[name][0](io.BytesIO(data), "")
            Image._decompression_bomb_check(image.size)
        except Exception as error:
            refusals += [rejection(error)] if name in names else []
        else:
            return image
    raise next(iter(refusals), ImageRejected(Reason.UNSUPPORTED_FORMAT, description_of(data)))


def signed(data: bytes) -> list[str]:
    """The formats whose signature a file has."""
    prefix = data[:16]
    if prefix[4:8] == b"ftyp":
        end = min(int.from_bytes(prefix[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, end, 4))}
        return [name for name, own in BRANDS.items() if brands & own] or list(BRANDS if brands & ANY_CODEC else ())
    return [name for name in ACCEPTED if (accept := Image.OPEN[name][1]) is not None and accept(prefix) is True]


def rejection(error: Exception) -> ImageRejected:
    """The rejection for a decoder's error; decoders may raise anything on broken files."""
    if isinstance(error, ImageRejected):
        return error
    if isinstance(error, Image.DecompressionBombError):
        return ImageRejected(Reason.TOO_LARGE, str(error))
    if isinstance(error, MemoryError):
        return ImageRejected(Reason.TOO_LARGE, "decoding needs more memory than there is")
    reason = Reason.TRUNCATED if _ended_early(error) else Reason.UNDECODABLE
    return ImageRejected(reason, f"{type(error).__name__}: {error}"[:500])


def _ended_early(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, EOFError) or any(sign in text for sign in ENDED_EARLY)
