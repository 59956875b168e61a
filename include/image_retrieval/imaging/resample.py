"""A picture of any size to the one that a model reads."""

import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.decode import BACKGROUND, REDUCING_GAP, decode

METHODS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, slots=True)
class Resampled:
    """One image at the target size, with what is known of its original.

    `pixels` holds height × width × 3 bytes, RGB, row by row; `sha256` is of the original's bytes.
    """

    pixels: bytes
    sha256: str
    width: int
    height: int
    format: str


def resample(data: bytes, options: ResampleOptions, *, max_pixels: int) -> Resampled:
    """Decode an image's bytes and bring it to the target size. Raises ImageRejected."""
    picture = decode(data, max_pixels=max_pixels, enough=_decoding_size(options))
    return Resampled(
        pixels=fit(picture.pixels, options).tobytes(),
        sha256=hashlib.sha256(data).hexdigest(),
        width=picture.width,
        height=picture.height,
        format=picture.format,
    )


def _decoding_size(options: ResampleOptions) -> tuple[int, int] | None:
    # nearest picks single pixels of the original, so a scaled decoding would change its result
    return None if options.method == "nearest" else options.target_size


def fit(image: Image.Image, options: ResampleOptions) -> Image.Image:
    """An RGB picture at the target size: stretched, cropped around its centre, or padded."""
    width, height = options.target_size
    scale_x, scale_y = width / image.width, height / image.height
    if options.fit == "crop":
        scale = max(scale_x, scale_y)
        # rounding may leave a margin a hair below 0, which Pillow refuses
        margin_x = max(0.0, (image.width - width / scale) / 2)
        margin_y = max(0.0, (image.height - height / scale) / 2)
        box = (margin_x, margin_y, image.width - margin_x, image.height - margin_y)
        return _resized(image, (width, height), options, box)
    if options.fit == "pad":
        scale = min(scale_x, scale_y)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", (width, height), BACKGROUND)
        canvas.paste(_resized(image, size, options), ((width - size[0]) // 2, (height - size[1]) // 2))
        return canvas
    return _resized(image, (width, height), options)


def _resized(
    image: Image.Image,
    size: tuple[int, int],
    options: ResampleOptions,
    box: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    gap = None if options.method == "nearest" else REDUCING_GAP
    return image.resize(size, METHODS[options.method], box=box, reducing_gap=gap)


def encode(pixels: bytes, options: ResampleOptions) -> bytes:
    """The file that is kept beside the packed pixels, in the format of the options' suffix."""
    image = Image.frombytes("RGB", options.target_size, pixels)
    target = io.BytesIO()
    if options.suffix == ".png":
        image.save(target, "PNG", dpi=options.target_dpi, compress_level=1)
    elif options.suffix == ".jpg":
        image.save(target, "JPEG", dpi=options.target_dpi, quality=95, subsampling=0)
    else:
        image.save(target, "WEBP", lossless=True, quality=0, method=0)
    return target.getvalue()
