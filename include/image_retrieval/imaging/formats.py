"""Which files are pictures: told by their content, never by their name."""

import io
import re

import pi_heif
from PIL import Image, UnidentifiedImageError

from image_retrieval.errors import ImageRejected, Reason

# Pillow's names; its JPEG is MPO, too. None of these decoders starts another program
ACCEPTED = (
    "JPEG",
    "PNG",
    "WEBP",
    "AVIF",
    "HEIF",
    "GIF",
    "BMP",
    "TIFF",
    "JPEG2000",
    "ICO",
    "PPM",
    "QOI",
    "DDS",
    "TGA",  # the last one, as it has no signature to be told by
)
OTHER_PROGRAM = "only another program could draw it"
NOT_PIXELS = "it holds no pixels"
NO_DECODER = "no decoder is installed"
REFUSED: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(start, re.DOTALL | re.IGNORECASE), name, cause)
    for start, name, cause in (
        (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS or PostScript", OTHER_PROGRAM),
        (rb"\s*%PDF-", "PDF", OTHER_PROGRAM),
        (
            rb"(\xef\xbb\xbf)?\s*<(svg|(\?xml|!--|!doctype svg).{0,2000}?<svg)",
            "SVG",
            OTHER_PROGRAM,
        ),
        (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "WMF or EMF", OTHER_PROGRAM),
        (rb"\x89HDF", "HDF5", OTHER_PROGRAM),
        (rb"GRIB|BUFR", "GRIB or BUFR", OTHER_PROGRAM),
        (rb"8BPS", "Photoshop document", NO_DECODER),
        (rb"gimp xcf", "GIMP document", NO_DECODER),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL", NO_DECODER),
        (rb"SIMPLE  =", "FITS", NO_DECODER),
        (rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|Rar!|7z\xbc\xaf", "archive", NOT_PIXELS),
        (rb".{4}ftyp(isom|mp4|iso[2-9]|avc1|qt  |M4V)|\x1aE\xdf\xa3|RIFF.{4}AVI ", "video", NOT_PIXELS),
        (rb"\s*<(!doctype html|html)", "web page", NOT_PIXELS),
        (rb"\s*<\?xml", "XML", NOT_PIXELS),
        (rb"\x7fELF|MZ", "program", NOT_PIXELS),
    )
)

pi_heif.register_heif_opener(thumbnails=False)
pi_heif.options.DECODE_THREADS = 1  # a process a core already


def open_image(data: bytes, *, max_pixels: int) -> Image.Image:
    """The image with its header read and no pixel decoded yet. Raises ImageRejected, or whatever its decoder raises.

    `max_pixels` also bounds what a decoder unfolds while it opens.
    """
    if not data:
        raise ImageRejected(Reason.EMPTY_FILE)
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        return Image.open(io.BytesIO(data), formats=ACCEPTED)
    except UnidentifiedImageError:
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, _told(data)) from None


def _told(data: bytes) -> str:
    for start, name, cause in REFUSED:
        if start.match(data):
            return f"{name}: {cause}"
    return f"starts with {data[:8]!r}"
