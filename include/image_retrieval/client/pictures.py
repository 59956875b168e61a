"""Pictures in Python: converts what a user gives to bytes, and stored bytes to a PIL.Image."""

import io
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from image_retrieval.client.errors import unusable
from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.image_inputs import image_bytes, named_image
from image_retrieval.objects import ObjectStore
from image_retrieval.picture_options import ResampleChoice
from image_retrieval.redaction import shown_url
from image_retrieval.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

# a path; a str may be a URL (http, https, s3, file, data); an encoded file; an opened picture; pixels
Picture: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Image | NDArray[np.uint8]"
KINDS = "a path, a URL, bytes, a PIL.Image, or an array of uint8 (height, width, 3)"
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16")  # modes that PNG can hold unchanged
DECODING = threading.RLock()  # decoders have options that apply to the whole process


def is_picture(given: object) -> bool:
    """Whether a value that is not a str is one picture."""
    import numpy as np
    from PIL import Image

    if isinstance(given, np.ndarray):
        return given.ndim < 4
    return isinstance(given, os.PathLike | bytes | bytearray | memoryview | Image.Image)


def name_of(given: object) -> str:
    """A picture's name for an error, without anything that may be a secret."""
    if isinstance(given, str):
        if given.startswith("data:"):
            return "the picture of a data: URL"
        return shown_url(given) if "://" in given else ascii(given[:200])
    if isinstance(given, os.PathLike):
        return ascii(os.fspath(given)[:200])
    return "the picture"


def picture_bytes(given: "Picture", settings: Settings, name: str) -> bytes:
    """The bytes of a picture's file. Raises UnusableImage, and UserError if the value is not a picture."""
    try:
        return _bytes_of(given, settings)
    except ImageRejected as rejection:
        raise unusable(name, rejection) from None
    except ValueError:  # no file can have this name
        raise UserError(f"{name_of(given)} is not the name of a picture") from None


def _bytes_of(given: Any, settings: Settings) -> bytes:
    import numpy as np
    from PIL import Image

    if isinstance(given, str) and ("://" in given or given.startswith("data:")):
        return named_image(given, settings)
    if isinstance(given, str | os.PathLike):
        return named_image(str(Path(os.fsdecode(given)).absolute()), settings)
    if isinstance(given, bytes | bytearray | memoryview):
        return image_bytes(bytes(given), "image_binary", settings)
    if isinstance(given, np.ndarray):
        given = _from_array(given)
    if isinstance(given, Image.Image):
        return image_bytes(_encoded(given, settings), "image_binary", settings)
    raise UserError(f"a picture must be {KINDS}, not {type(given).__name__}")


def _from_array(pixels: "NDArray[Any]") -> "Image":
    import numpy as np
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or not pixels.size:
        message = f"not {pixels.dtype} {tuple(pixels.shape)}"
        raise UserError(
            f"a picture's pixels must be uint8 (height, width), (height, width, 3) or (height, width, 4), {message}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _encoded(image: "Image", settings: Settings) -> bytes:
    """A file with the same pixels and colour profile, upright, which is then handled like any other picture."""
    from PIL import ImageOps

    from image_retrieval.imaging.formats import rejection

    if image.width * image.height > settings.max_image_pixels:
        detail = f"{image.width}×{image.height} pixels are over the limit of {settings.max_image_pixels}"
        raise ImageRejected(Reason.TOO_LARGE, detail)
    if image.mode in ("F", "I"):
        raise UserError(f"a picture of mode {image.mode} has no defined scale: convert it to RGB or L first")
    file = io.BytesIO()
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode == "CMYK":
            upright.save(file, "TIFF", icc_profile=image.info.get("icc_profile"))
        else:
            shown = (
                upright
                if upright.mode in MODES
                else upright.convert("RGBA" if upright.mode in ("RGBa", "La") else "RGB")
            )
            shown.save(file, "PNG", compress_level=1)
    except Exception as error:  # the file is read only now, and its decoder may raise anything
        raise rejection(error) from None
    return file.getvalue()


@lru_cache(maxsize=4)
def _store(settings: Settings) -> ObjectStore:
    return ObjectStore(settings)


def read_stored(uri: str, settings: Settings) -> bytes:
    """The bytes of an image, in a tar or table or alone. Raises UnusableImage if it cannot be read, and UserError."""
    from image_retrieval.pipeline.table_images import stored_original

    try:
        return stored_original(_store(settings), uri, settings)
    except ImageRejected as rejection:
        raise unusable(uri, rejection) from None


def opened(data: bytes, choice: ResampleChoice, settings: Settings, side: int | None = None) -> "Image":
    """A picture decoded with its collection's options: upright, in sRGB, of mode RGB, at most `side` pixels wide and
    high.

    Raises ImageRejected.
    """
    from image_retrieval.imaging.colour import to_srgb
    from image_retrieval.imaging.decode import Limits, decode
    from image_retrieval.imaging.exif import upright

    def scale(width: int, height: int) -> float:
        return max(width, height) / (2 * side) if side else 1

    options = choice.of_size((side or 1, side or 1))
    with DECODING:
        picture = decode(data, options, Limits.of(settings), scale)
    image = picture.image
    if side:
        image.thumbnail((side, side))
    plain = upright(to_srgb(image, picture.profile), picture.orientation).copy()
    plain.info = {}  # orientation and profile are applied, and must not be applied again
    return plain
