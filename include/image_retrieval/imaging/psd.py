"""Photoshop documents: the flat picture that Photoshop saves beside the layers."""

from typing import Any

from PIL import Image

from image_retrieval.errors import ImageRejected, Reason

SIGNATURE = b"8BPS"
DEPTHS = (1, 8)  # bits a channel that Pillow reads
VERSION_INFO = 1057  # image resource that says whether there is a flat picture


def check_header(data: bytes) -> None:
    """Raise ImageRejected, with the cause, for a document that Pillow cannot read."""
    version, depth = int.from_bytes(data[4:6], "big"), int.from_bytes(data[22:24], "big")
    if len(data) >= 26 and version != 1:
        raise ImageRejected(Reason.UNDECODABLE, "a large Photoshop document (PSB), which no decoder here can read")
    if len(data) >= 26 and depth not in DEPTHS:
        raise ImageRejected(Reason.UNDECODABLE, f"a Photoshop document of {depth} bits a channel: only 8 are supported")


def is_transparent(data: bytes) -> bool:
    """Whether the fourth channel of the flat picture is its transparency, and not a saved selection.

    A negative number of layers means transparency.
    """
    at = 26
    for _ in range(2):  # palette, image resources
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    length = int.from_bytes(data[at + 4 : at + 8], "big")
    return length > 1 and int.from_bytes(data[at + 8 : at + 10], "big", signed=True) < 0


def flat(image: Any, data: bytes) -> Image.Image:
    """The flat picture of a loaded document, with its fourth channel only if transparent. Raises ImageRejected."""
    info = next((content for number, _, content in image.resources if number == VERSION_INFO), b"")
    if len(info) > 4 and not info[4]:
        raise ImageRejected(Reason.UNDECODABLE, "it was saved with layers only, without the flat picture")
    loaded: Image.Image = image
    return loaded.convert("RGB") if loaded.mode == "RGBA" and not is_transparent(data) else loaded
