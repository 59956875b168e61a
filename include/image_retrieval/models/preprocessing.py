"""Reads a model's preprocessor file: the size of its pictures, and the normalisation of their values."""

from math import isqrt
from typing import Any

Channels = tuple[float, ...]

DEFAULT_SIDE = 224


def normalisation(
    preprocessor: dict[str, Any], trained_with: tuple[Channels, Channels]
) -> tuple[float, Channels, Channels]:
    """Scale, means and standard deviations: a value v of 0 to 255 becomes (v * scale - mean) / std."""
    mean, std = trained_with
    scale = float(preprocessor.get("rescale_factor") or 1 / 255) if _does(preprocessor, "do_rescale") else 1.0
    if not _does(preprocessor, "do_normalize"):
        return scale, (0.0,) * len(mean), (1.0,) * len(std)
    return scale, _channels(preprocessor.get("image_mean") or mean), _channels(preprocessor.get("image_std") or std)


def _channels(given: Any) -> Channels:
    found = tuple(map(float, given))
    if len(found) not in (1, 3):
        raise ValueError(f"{len(found)} values for the channels of a picture")
    return found


def wanted_size(preprocessor: dict[str, Any], config: dict[str, Any]) -> tuple[int, int]:
    """The width and height of pictures for the model: of the crop, else of the resizing, else of the config.

    A limit on one side (shortest_edge) becomes a square, since all pictures of a collection have one size.
    """
    cropped = preprocessor.get("crop_size") if _does(preprocessor, "do_center_crop") else None
    for given in (cropped, preprocessor.get("size")):
        if size := _size(given):
            return size
    if patches := preprocessor.get("max_num_patches"):  # SigLIP 2's native resolution: as many patches as fit
        side = isqrt(patches) * (preprocessor.get("patch_size") or config.get("patch_size") or 16)
        return side, side
    return _size(config.get("image_size")) or (DEFAULT_SIDE, DEFAULT_SIDE)


def _does(preprocessor: dict[str, Any], step: str) -> bool:
    return preprocessor.get(step) is not False


def _size(given: Any) -> tuple[int, int] | None:
    """The width and height, in any of the forms in which these files give a size."""
    if isinstance(given, dict):
        if given.get("width") and given.get("height"):
            return int(given["width"]), int(given["height"])
        side = given.get("shortest_edge")
        return (int(side), int(side)) if side else None
    if isinstance(given, list | tuple):
        height, width = given
        return int(width), int(height)
    return (int(given), int(given)) if given else None
