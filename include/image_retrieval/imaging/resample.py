"""Resamples a picture of any size to the size that a model reads."""

import io
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import pyvips
from PIL import Image

from image_retrieval.imaging import simd
from image_retrieval.imaging.colour import to_srgb
from image_retrieval.imaging.decode import Limits, Picture, decode
from image_retrieval.imaging.exif import SIDEWAYS, upright
from image_retrieval.imaging.fingerprints import HASHED_SIDE, perceptual_hash, sha256
from image_retrieval.imaging.looks import Looks, looks_of
from image_retrieval.imaging.region import cut, size_of_part
from image_retrieval.picture_options import ResampleChoice, ResampleOptions

METHODS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# how many times the target size the earlier steps leave for the filter; measured in docs/images.md
DECODING_GAP = 2.0
REDUCING_GAP = 3.0
Size = tuple[float, float]
Box = tuple[float, float, float, float]
T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class Resampled:
    """One image at the target size, with facts about its original.

    `pixels` holds height × width × 3 bytes, RGB, row by row; `sha256` is of the original's bytes, `phash` its
    perceptual hash as a signed 64-bit integer; `width` and `height` are those of the upright original, `mode` is its
    colour model as Pillow names it; `captured_at` is the time of the camera's clock. `colours`, `sharpness` and
    `complexity` are its Looks.
    """

    pixels: bytes
    sha256: str
    width: int
    height: int
    format: str
    mode: str
    phash: int
    captured_at: datetime | None
    colours: str
    sharpness: float
    complexity: float


@dataclass(frozen=True, slots=True)
class Prints:
    """What the upkeep takes from a resampled file; the perceptual hash is None if the file shows only a part."""

    phash: int | None
    looks: Looks


@dataclass(frozen=True, slots=True)
class Placement:
    """The part of an upright picture that is resized, and its new size; both as width and height in pixels."""

    part: Size
    size: tuple[int, int]


def place(width: float, height: float, options: ResampleOptions) -> Placement:
    """The placement of a picture of this size: all of it stretched or padded to the target, or its centre cropped."""
    target_width, target_height = options.target_size
    scale_x, scale_y = target_width / width, target_height / height
    if options.fit == "crop":
        scale = max(scale_x, scale_y)
        # rounding may make the part slightly larger than the picture, which resizing refuses
        return Placement((min(width, target_width / scale), min(height, target_height / scale)), options.target_size)
    if options.fit == "pad":
        scale = min(scale_x, scale_y)
        return Placement((width, height), (max(1, round(width * scale)), max(1, round(height * scale))))
    return Placement((width, height), options.target_size)


def resample(data: bytes, options: ResampleOptions, limits: Limits) -> Resampled:
    """Decode an image's bytes and bring it, or a region of it, to the target size. Raises ImageRejected."""
    picture = read(data, options, limits)
    image, whole = fit(picture, options), _whole(picture)
    looks = looks_of(whole, image)
    return Resampled(
        pixels=image.tobytes(),
        sha256=sha256(data),
        width=picture.width,
        height=picture.height,
        format=picture.format,
        mode=picture.mode,
        phash=perceptual_hash(whole),
        captured_at=picture.captured_at,
        colours=looks.colours,
        sharpness=looks.sharpness,
        complexity=looks.complexity,
    )


def read(data: bytes, options: ResampleOptions, limits: Limits) -> Picture:
    """Decode an image at no more pixels than its resampling needs. Raises ImageRejected."""
    if _wants_every_pixel(options):
        return cut(decode(data, options, limits), options.region)

    def allowed_scale(width: int, height: int) -> float:
        return min(_factors(*size_of_part(width, height, options.region), options, DECODING_GAP))

    picture = cut(decode(data, options, limits, allowed_scale), options.region)
    factors = _factors(*_turned(picture, picture.covered), options, REDUCING_GAP)
    across, down = _turned(picture, (max(1, int(factors[0])), max(1, int(factors[1]))))
    if across == down == 1:
        return picture
    width, height = picture.covered
    return replace(picture, image=picture.image.reduce((across, down)), covered=(width / across, height / down))


def _wants_every_pixel(options: ResampleOptions) -> bool:
    # nearest picks single pixels of the original, and box has sharp edges, so a reduced picture would not do
    return options.exact or options.method in ("nearest", "box")


def _factors(width: float, height: float, options: ResampleOptions, gap: float) -> Size:
    """How many times smaller, in each direction, an upright picture may be to leave `gap` times its final size."""
    placement = place(width, height, options)
    across, down = (
        part / (gap * max(size, HASHED_SIDE)) for part, size in zip(placement.part, placement.size, strict=True)
    )
    return across, down


def fit(picture: Picture, options: ResampleOptions) -> Image.Image:
    """A decoded picture at the target size, upright, in sRGB: stretched, cropped around its centre, or padded."""
    if options.exact:  # turning before or after resizing differs by a rounding error
        image = upright(picture.image, picture.orientation)
        picture = replace(picture, image=image, covered=image.size, orientation=1)
    placement = place(picture.width, picture.height, options)
    part = _turned(picture, placement.part)
    stored = _turned(picture, (picture.width, picture.height))
    # limited to the picture: rounding may exceed it slightly, which resizing refuses
    (left, right), (upper, lower) = (
        (covered / whole * (whole - length) / 2, min(covered, covered / whole * (whole + length) / 2))
        for covered, whole, length in zip(picture.covered, stored, part, strict=True)
    )
    small = _resized(picture, _turned(picture, placement.size), options, (left, upper, right, lower))
    small = upright(to_srgb(small, picture.profile), picture.orientation)
    if small.size == options.target_size:
        return small
    canvas = Image.new("RGB", options.target_size, options.background)
    margins = [(whole - length) // 2 for whole, length in zip(options.target_size, small.size, strict=True)]
    canvas.paste(small, (margins[0], margins[1]))
    return canvas


def _turned(picture: Picture, size: tuple[T, T]) -> tuple[T, T]:
    """Exchange the width and height of a picture that its orientation turns sideways."""
    return size[::-1] if picture.orientation in SIDEWAYS else size


def _resized(picture: Picture, size: tuple[int, int], options: ResampleOptions, box: Box) -> Image.Image:
    if options.exact or not simd.can_resize(picture.image, options.method):
        return picture.image.resize(size, METHODS[options.method], box=box)
    return simd.resize(picture.image, size, options.method, box)


def _whole(picture: Picture) -> Image.Image:
    whole = simd.mean(picture.image, (HASHED_SIDE, HASHED_SIDE), (0, 0, *picture.covered))
    return upright(to_srgb(whole, picture.profile), picture.orientation)


def prints_of_resampled(file: bytes, width: int, height: int, choice: ResampleChoice) -> Prints:
    """The fingerprints of an image of that size, in pixels, from its resampled file."""
    with Image.open(io.BytesIO(file)) as opened:
        image = opened.convert("RGB")
    box: Box = (0, 0, *image.size)
    if choice.fit != "crop":
        across, down = place(width, height, choice.of_size(image.size)).size
        left, upper = (image.width - across) // 2, (image.height - down) // 2
        box = (left, upper, left + across, upper + down)
    whole = simd.mean(image, (HASHED_SIDE, HASHED_SIDE), box)
    return Prints(None if choice.fit == "crop" else perceptual_hash(whole), looks_of(whole, image))


def encode(pixels: bytes, options: ResampleOptions) -> bytes:
    """The file that is kept beside the packed pixels, in the format of the options' suffix."""
    if options.suffix == ".png":
        return _encode_png(pixels, options)
    image = Image.frombytes("RGB", options.target_size, pixels)
    target = io.BytesIO()
    if options.suffix == ".jpg":
        image.save(target, "JPEG", dpi=options.target_dpi, quality=95, subsampling=0)
    else:
        image.save(target, "WEBP", lossless=True, quality=0, method=0)
    return target.getvalue()


def _encode_png(pixels: bytes, options: ResampleOptions) -> bytes:
    """Encode with libvips, in less than half of Pillow's time."""
    across, down = (dots / 25.4 for dots in options.target_dpi)  # libvips counts by millimetre
    image = pyvips.Image.new_from_memory(pixels, *options.target_size, 3, "uchar")
    file: bytes = image.copy(interpretation="srgb", xres=across, yres=down).pngsave_buffer(compression=1, filter="sub")
    return file
