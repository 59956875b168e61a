"""Decodes bytes into the pixels of one picture, or rejects them with the reason."""

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import pyvips
from kornia_rs.io import decode_image_png_u8
from PIL import Image, ImageFile

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging import effort, jpeg, jxl, png, psd, raw
from image_retrieval.imaging.colour import to_8_bits
from image_retrieval.imaging.exif import SIDEWAYS, captured_at, exif_of_tiff, orientation, read_exif
from image_retrieval.imaging.formats import open_image, rejection
from image_retrieval.imaging.profiles import Profile, profile_of
from image_retrieval.picture_options import RAW, ResampleOptions

if TYPE_CHECKING:  # the decoding processes start without it
    from image_retrieval.settings import Settings

pyvips.cache_set_max(0)  # no picture is decoded twice
logging.getLogger("pyvips").setLevel(logging.ERROR)  # the rejection reports what it finds in a file
os.environ["LIBTIFF_JPEG_MAX_ALLOWED_SCAN_NUMBER"] = str(effort.MOST_PASSES)  # of each strip of a TIFF
TURNED_BY_DECODER = ("TIFF", "HEIF", jxl.FORMAT)
PNG_MODES = {"L": "mono", "RGB": "rgb", "RGBA": "rgba"}  # as kornia-rs names them
COMPOSED = ("GIF", "PNG", "WEBP", "AVIF")  # their frames are drawn over earlier ones
SCALES = (8, 4, 2)  # at these, libjpeg's scaled decoding is exactly the mean of 8×8, 4×4 or 2×2 pixels
AllowedScale = Callable[[int, int], float]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on an image inside the decoder; bytes and seconds are limited outside."""

    pixels: int
    frames: int

    @classmethod
    def of(cls, settings: "Settings") -> "Limits":
        """The limits of the settings."""
        return cls(settings.max_image_pixels, settings.max_image_frames)


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image as its file stores it, in 8 bits a band and without transparency.

    `image` may be a scaled decoding; the original then covers `covered` (width and height in pixels of `image`) of it,
    from the upper left corner. `width` and `height` are those of the upright original, `mode` is its colour model.
    EXIF's `orientation` and the `profile` are still to be applied. The mode of `image` is RGB, or L or CMYK if the
    profile is for such pictures.
    """

    image: Image.Image
    covered: tuple[float, float]
    orientation: int
    profile: Profile | None
    width: int
    height: int
    format: str
    mode: str
    captured_at: datetime | None


def decode(
    data: bytes,
    options: ResampleOptions,
    limits: Limits,
    allowed_scale: AllowedScale = lambda width, height: 1,
) -> Picture:
    """Decode the frame that the options select. Raises ImageRejected.

    `allowed_scale` returns how many times smaller a picture of an upright width and height (pixels) may be decoded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ImageFile.LOAD_TRUNCATED_IMAGES = options.truncated == "accept"
            camera = raw.recognized(data)
            if camera is None:
                return _decode_file(data, options, limits, allowed_scale)
            return _decode_preview(data, camera, options, limits, allowed_scale)
    except Exception as error:
        raise rejection(error) from None


def _decode_preview(
    data: bytes, camera: raw.Raw, options: ResampleOptions, limits: Limits, allowed_scale: AllowedScale
) -> Picture:
    shown = raw.preview(data, camera) if options.raw == "preview" else None
    if shown is None:
        cause = "resample.raw is refuse" if options.raw == "refuse" else "no embedded preview has nearly its size"
        raise ImageRejected(Reason.RAW, f"camera raw ({camera.name}): {cause}")
    picture = _decode_file(shown, options, limits, allowed_scale, camera.orientation)
    return replace(picture, format=RAW, captured_at=picture.captured_at or captured_at(exif_of_tiff(data)))


def _decode_file(
    data: bytes, options: ResampleOptions, limits: Limits, allowed_scale: AllowedScale, turn: int = 1
) -> Picture:
    """`turn` is the orientation of a picture whose EXIF has none."""
    effort.require_bounded(data, limits.pixels, limits.frames)
    plain = png.stripped(data) if data.startswith(png.SIGNATURE) else None
    data = data if plain is None else plain.data
    if data.startswith(psd.SIGNATURE):
        psd.check_header(data)
    try:
        with open_image(data, max_pixels=limits.pixels) as image:
            return _decode_opened(image, data, plain, options, limits, allowed_scale, turn)
    except Exception as error:
        refusal = rejection(error)
        cut = refusal.reason is Reason.TRUNCATED and data.startswith(jpeg.START)
        whole = jpeg.with_its_end(data) if cut else None
        if whole is None:
            raise refusal from None
    with open_image(whole, max_pixels=limits.pixels) as image:
        return _decode_opened(image, whole, None, options, limits, allowed_scale, turn)


def _decode_opened(
    image: Image.Image,
    data: bytes,
    plain: png.Stripped | None,
    options: ResampleOptions,
    limits: Limits,
    allowed_scale: AllowedScale,
    turn: int,
) -> Picture:
    _check_size(image, limits)
    _choose_frame(image, data, options, limits)
    mode = image.mode
    exif = read_exif(image, data)
    turn = 1 if image.format in TURNED_BY_DECODER else orientation(exif, otherwise=turn)
    taken = captured_at(exif)  # read before loading, since a loaded TIFF loses it
    width, height = image.size[::-1] if turn in SIDEWAYS else image.size
    covered = _draft(image, allowed_scale(width, height)) if image.format in ("JPEG", "MPO") else None
    pixels = _read_png(image, data) if image.format == "PNG" else None
    if pixels is None:
        if image.format == "PNG" and options.truncated == "refuse":
            png.check_pixels(data)
        image.load()
        _check_size(image, limits)
        pixels = psd.flat(image, data) if image.format == "PSD" else image
    if image.format == jxl.FORMAT:
        taken = captured_at(exif_of_tiff(image.info.get("exif", b"")))  # only available after loading
    pixels, profile = to_8_bits(pixels, profile_of(image, data, plain), options.background)
    return Picture(
        image=pixels,
        covered=covered or pixels.size,
        orientation=turn,
        profile=profile,
        width=width,
        height=height,
        format=str(image.format),
        mode=mode,
        captured_at=taken,
    )


def _check_size(image: Image.Image, limits: Limits) -> None:
    if image.width * image.height > limits.pixels:
        detail = f"{image.width}×{image.height} pixels are over the limit of {limits.pixels}"
        raise ImageRejected(Reason.TOO_LARGE, detail)


def _choose_frame(image: Image.Image, data: bytes, options: ResampleOptions, limits: Limits) -> None:
    layers = image.format == "PSD" or (image.format == "MPO" and jpeg.has_gain_map(data))
    frames = 1 if layers else getattr(image, "n_frames", 1)
    if frames > limits.frames:
        raise ImageRejected(Reason.TOO_LARGE, f"{frames} frames are over the limit of {limits.frames}")
    if options.frame != "first" and frames > 1:
        wanted = frames // 2 if options.frame == "middle" else frames - 1
        if image.format in COMPOSED:
            effort.require_few_passes(wanted + 1, "frames", image.width * image.height, limits.pixels)
        image.seek(wanted)
        _check_size(image, limits)
        if image.format == "MPO":
            effort.require_few_scans(data[getattr(image, "offset", 0) :], limits.pixels)


def _draft(image: Image.Image, allowed: float) -> tuple[float, float] | None:
    """Let libjpeg decode at a fraction of the size, if possible. Returns the part that the original then covers."""
    scale = next((scale for scale in SCALES if scale <= allowed), None)
    drafted = scale and image.draft("RGB", (image.width // scale, image.height // scale))
    return drafted[1][2:] if drafted else None


def _read_png(image: Image.Image, data: bytes) -> Image.Image | None:
    """A plain 8-bit PNG, in less than half of Pillow's time; None for others, and if the faster decoder refuses it."""
    tile = image.tile[0] if isinstance(image, ImageFile.ImageFile) and image.tile else None
    plain = tile is not None and tile.args == image.mode and image.mode in PNG_MODES
    if not plain or getattr(image, "n_frames", 1) > 1 or {"transparency", "interlace"} & set(image.info):
        return None
    try:
        pixels = decode_image_png_u8(data, (image.height, image.width), PNG_MODES[image.mode])
    except Exception:  # Pillow tells what is wrong, or reads it nevertheless
        return None
    return Image.frombytes(image.mode, image.size, pixels)
