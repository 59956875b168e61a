"""JPEG XL for Pillow, by libjxl (`pylibjxl`)."""

from typing import Any

import pylibjxl
from PIL import Image, ImageFile

FORMAT = "JXL"
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
STREAM = b"\xff\x0a"


class JxlImageFile(ImageFile.ImageFile):
    """A JPEG XL picture: its size at once, its pixels when it is loaded. Of an animation the first frame."""

    format = FORMAT
    format_description = "JPEG XL"

    def _open(self) -> None:
        assert self.fp is not None
        self._data: bytes | None = self.fp.read()
        found = pylibjxl.probe(self._data)
        self._size = found["width"], found["height"]
        self._mode = MODES[found["channels"]]

    def load(self) -> Any:
        """Decode the picture, and read its profile and EXIF."""
        if self._data is not None:
            pixels, metadata = pylibjxl.decode(self._data, metadata=True)
            self._data = None
            self.info.update({"icc_profile": metadata["icc"]} if "icc" in metadata else {})
            self.im = Image.fromarray(pixels, self.mode).im
        return super().load()


def register() -> None:
    """Make it a format of Pillow's."""
    Image.register_open(FORMAT, JxlImageFile, _accept)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith((STREAM, CONTAINER))
