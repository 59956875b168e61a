"""Cuts a part out of a decoded picture."""

from dataclasses import replace

from image_retrieval.imaging.decode import Picture
from image_retrieval.imaging.exif import SIDEWAYS
from image_retrieval.values import Region

FLIPPED_ACROSS, FLIPPED_DOWN = (2, 3, 7, 8), (3, 4, 6, 7)  # orientations that turn a direction of the stored picture
Span = tuple[float, float]


def cut(picture: Picture, region: Region | None) -> Picture:
    """The part of a picture, at least a pixel of it, as a picture of its own; all of it if there is no region."""
    if region is None:
        return picture
    across, down = stored_spans(region, picture.orientation)
    (left, right), (upper, lower) = (
        pixels(span, covered, most)
        for span, covered, most in zip((across, down), picture.covered, picture.image.size, strict=True)
    )
    image = picture.image.crop((left, upper, right, lower))
    width, height = size_of_part(picture.width, picture.height, region)
    return replace(picture, image=image, covered=image.size, width=width, height=height)


def stored_spans(region: Region, orientation: int) -> tuple[Span, Span]:
    """Where a part of the upright picture begins and ends in the stored one, across and down, as shares."""
    left, top, width, height = region
    across, down = (left, left + width), (top, top + height)
    if orientation in SIDEWAYS:
        across, down = down, across
    if orientation in FLIPPED_ACROSS:
        across = 1 - across[1], 1 - across[0]
    if orientation in FLIPPED_DOWN:
        down = 1 - down[1], 1 - down[0]
    return across, down


def size_of_part(width: int, height: int, region: Region | None) -> tuple[int, int]:
    """The width and height, in pixels, of a part of an upright picture of this size."""
    if region is None:
        return width, height
    left, top, share_across, share_down = region
    (first, last), (upper, lower) = (
        pixels((left, left + share_across), width, width),
        pixels((top, top + share_down), height, height),
    )
    return last - first, lower - upper


def pixels(span: Span, covered: float, most: int) -> tuple[int, int]:
    """The first pixel of a span and the one after its last, of `most` pixels of which the picture covers `covered`."""
    first = min(most - 1, max(0, round(span[0] * covered)))
    return first, min(most, max(first + 1, round(span[1] * covered)))
