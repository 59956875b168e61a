"""Bytes to an upright 8-bit RGB picture, or to the reason why not."""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from image_retrieval.errors import ImageRejected, Reason

# by content, not by name; none of them starts another program
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "ICO", "PPM", "QOI")
BACKGROUND = (255, 255, 255)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
REDUCING_GAP = 3.0  # scaled decoding leaves at least this many times the target: over 50 dB of full Lanczos


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image. `width` and `height` are those of the upright original, `pixels` may be a scaled decoding."""

    pixels: Image.Image
    width: int
    height: int
    format: str


def decode(data: bytes, *, max_pixels: int, enough: tuple[int, int] | None = None) -> Picture:
    """Decode the first frame, upright, in RGB.

    `enough` is the width and height in pixels that the caller needs: JPEG may then be decoded at a fraction of its
    size that leaves REDUCING_GAP times that. Raises ImageRejected.
    """
    if not data:
        raise ImageRejected(Reason.EMPTY_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.MAX_IMAGE_PIXELS = max_pixels  # so that no plugin unfolds more than this while it opens
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                return _decode_opened(image, max_pixels, enough)
    except UnidentifiedImageError:
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"starts with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise ImageRejected(Reason.TOO_LARGE, str(error)) from None
    except ImageRejected:
        raise
    except MemoryError:
        raise ImageRejected(Reason.TOO_LARGE, "decoding needs more memory than there is") from None
    except Exception as error:  # decoders raise whatever they like on broken files
        reason = Reason.TRUNCATED if "truncated" in str(error).lower() else Reason.UNDECODABLE
        raise ImageRejected(reason, f"{type(error).__name__}: {error}"[:500]) from None


def _decode_opened(image: Image.Image, max_pixels: int, enough: tuple[int, int] | None) -> Picture:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageRejected(Reason.TOO_LARGE, f"{width}×{height} pixels are over the limit of {max_pixels}")
    if enough is not None and image.format in ("JPEG", "MPO"):
        side = round(max(enough) * REDUCING_GAP)  # of a square, as the picture may still be turned
        image.draft("RGB", (side, side))
    image.load()
    orientation = _orientation(image)
    turned = orientation in (5, 6, 7, 8)
    return Picture(
        pixels=to_rgb(image.transpose(TURNS[orientation]) if orientation in TURNS else image),
        width=height if turned else width,
        height=width if turned else height,
        format=str(image.format),
    )


def _orientation(image: Image.Image) -> int | None:
    """EXIF's orientation; None where there is none or EXIF is broken, which costs no picture."""
    try:
        found = image.getexif().get(0x0112)
    except Exception:  # as decoders do
        return None
    return found if isinstance(found, int) else None


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of a picture in any of Pillow's modes; what is transparent shows a white background."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 257).convert("L").convert("RGB")
    if image.mode in ("I", "F"):
        return _scaled_to_8_bits(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    low, high = image.getextrema()
    if not (isinstance(low, int | float) and isinstance(high, int | float)):
        raise ImageRejected(Reason.UNDECODABLE, f"mode {image.mode} with several bands")
    if image.mode == "I":  # 16-bit PNG and TIFF come in 32-bit integers
        low, high = 0, max(high, 65535)
    span = (high - low) or 1
    return image.convert("F").point(lambda value: value * (255 / span) + (-low * 255 / span)).convert("L")
