"""Which files are pictures: told by their content, never by their name."""

import io

import pi_heif
from PIL import Image

from image_retrieval.collection import FORMATS
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging import jxl
from image_retrieval.imaging.signatures import told

# Pillow's names, in the order in which they are tried; its JPEG is MPO, too. None of them starts another program
ACCEPTED = tuple(name for name in FORMATS if name != "MPO")
BRANDS = {  # of ISO media files that hold pictures, and who reads them
    "AVIF": {b"avif", b"avis"},
    "HEIF": {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"},
}
ANY_CODEC = {b"mif1", b"msf1", b"mif2", b"mif3"}
ENDED_EARLY = ("truncated", "end of file", "unexpected end", "requires a buffer of")  # in what decoders say

Image.init()
pi_heif.register_heif_opener(thumbnails=False)
pi_heif.options.DECODE_THREADS = 1  # a process a core already
jxl.register()


def open_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """The image with its header read and no pixel decoded yet. Raises ImageRejected.

    `max_pixels` also bounds what a decoder unfolds while it opens. A file that has the signature of a format is that
    format's, and what its decoder says of it is told.
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
    raise next(iter(refusals), ImageRejected(Reason.UNSUPPORTED_FORMAT, told(data)))


def signed(data: bytes) -> list[str]:
    """Formats whose signature a file has."""
    prefix = data[:16]
    if prefix[4:8] == b"ftyp":
        end = min(int.from_bytes(prefix[:4], "big"), 256)
        brands = {data[at : at + 4] for at in (8, *range(16, end, 4))}
        return [name for name, own in BRANDS.items() if brands & own] or list(BRANDS if brands & ANY_CODEC else ())
    return [name for name in ACCEPTED if (accept := Image.OPEN[name][1]) is not None and accept(prefix) is True]


def rejection(error: Exception) -> ImageRejected:
    """What a decoder raised, as the rejection of the image; decoders raise whatever they like on broken files."""
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
