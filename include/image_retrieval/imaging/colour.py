"""Converts any colour model and depth to 8-bit RGB in sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from image_retrieval.imaging import cicp
from image_retrieval.imaging.cicp import Cicp
from image_retrieval.imaging.profiles import Profile

Colour = tuple[int, int, int]
SRGB = ImageCms.createProfile("sRGB")
ROUNDING = 2  # of 255: a profile that moves no colour further counts as sRGB
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour spaces of ICC profiles, and Pillow's modes for them


def to_8_bits(image: Image.Image, profile: Profile | None, background: Colour) -> tuple[Image.Image, Profile | None]:
    """The picture in 8 bits a band, without transparency, and the profile that is still to be applied to it.

    The mode is RGB, or L or CMYK if the profile is for such pictures. Transparent pixels show the background.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image, profile
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _grey_of_8_bits(image)
    if image.mode == "La":
        image = image.convert("LA")  # Pillow's only way
    if image.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in image.info:
        return _over(image, profile, background), None
    if image.mode in ("L", "CMYK") and profile is not None and _space(profile) == image.mode:
        return image, profile
    return image.convert("RGB"), profile


def to_srgb(image: Image.Image, profile: Profile | None) -> Image.Image:
    """An 8-bit picture in sRGB. A profile that is broken, or made for other colour models, is ignored."""
    if isinstance(profile, Cicp):
        return cicp.to_srgb(image.convert("RGB"), profile)
    transform = None if profile is None else _transform(profile, image.mode)
    if transform is not None:
        image = transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over(image: Image.Image, profile: Profile | None, background: Colour) -> Image.Image:
    layer = image.convert("RGBA")
    grey = image.mode in ("L", "LA") and profile is not None and _space(profile) == "L"
    colours = to_srgb(image.convert("L") if grey else layer.convert("RGB"), profile)
    alpha = layer.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return colours
    ground = Image.new("RGB", layer.size, background)
    ground.paste(colours, mask=alpha)
    return ground


def _grey_of_8_bits(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits in mode L.

    Integers have 16 bits, or range from 0 to the largest value. Floats count as 0 to 1, or as 0 to 255, if all lie in
    that range; else they range from the smallest to the largest value. NaN is black.
    """
    transparent = image.info.get("transparency") if image.mode == "I" or image.mode.startswith("I;16") else None
    values = np.asarray(image).astype(np.float32)
    if image.mode == "F":
        low, high = _range_of_floats(values)
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    else:
        low, high = 0.0, max(65535.0, float(values.max()))
    grey = Image.fromarray((np.clip((values - low) / (high - low or 1.0), 0, 1) * 255 + 0.5).astype(np.uint8))
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey


def _range_of_floats(values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if high <= 1 else 255.0
    return low, high


@lru_cache(16)
def _space(profile: Profile) -> str | None:
    """Pillow's mode of the pictures that a profile is made for, or None if it is broken."""
    if isinstance(profile, Cicp):
        return "RGB"
    try:
        return SPACES.get(ImageCms.getOpenProfile(io.BytesIO(profile)).profile.xcolor_space)
    except Exception:  # decoders may raise anything
        return None


@lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The perceptual transform to sRGB, or None if none is needed or possible."""
    if _space(profile) != mode:
        return None
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, SRGB, mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    except Exception:
        return None
    return None if mode in ("RGB", "L") and _moves_nothing(transform, mode) else transform


def _moves_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform keeps all colours of a sample: greys, and every mixture of six steps of each band."""
    steps = range(0, 256, 51)
    mixtures = [(red, green, blue) for red in steps for green in steps for blue in steps]
    colours = np.array([*((value, value, value) for value in range(256)), *mixtures], np.uint8)[None]
    given = Image.fromarray(colours if mode == "RGB" else np.ascontiguousarray(colours[:, :256, 0]))
    apart = np.asarray(transform.apply(given)).astype(int) - np.asarray(given.convert("RGB"))
    return bool(np.abs(apart).max() <= ROUNDING)
