"""JPEG XL for Pillow, decoded by libjxl (`pylibjxl`)."""

from typing import Any

from PIL import Image, ImageFile

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.cicp import Cicp
from image_retrieval.imaging.jxl_header import CONTAINER, STREAM, read_header

FORMAT = "JXL"
LINEAR_SRGB = Cicp(1, 8)
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class JxlImageFile(ImageFile.ImageFile):
    """A JPEG XL picture: opening reads its size, loading its pixels. An animation gives its last frame."""

    format = FORMAT
    format_description = "JPEG XL"

    def _open(self) -> None:
        import pylibjxl  # here, so that decoding processes start sooner

        assert self.fp is not None
        self._data: bytes | None = self.fp.read()
        found = pylibjxl.probe(self._data)
        self._size = found["width"], found["height"]
        self._mode = MODES[found["channels"]]
        self._header = read_header(self._data)
        if self._header is not None and self._header.inks:
            raise ImageRejected(Reason.UNDECODABLE, "a JPEG XL picture in CMYK, which its decoder would treat as RGB")

    def load(self) -> Any:
        """Decode the picture, and read its EXIF and colour information."""
        import pylibjxl

        if self._data is not None:
            pixels, metadata = pylibjxl.decode(self._data, metadata=True)
            self._data = None
            header = self._header
            self.info["exif"] = metadata.get("exif", b"")
            self.info["cicp"] = header and header.cicp
            if "icc" in metadata and header is not None:
                # libjxl cannot convert its own colours to a profile, so it returns linear light of sRGB's primaries
                self.info.update({"cicp": LINEAR_SRGB} if header.own_colours else {"icc_profile": metadata["icc"]})
            image = Image.fromarray(pixels, self.mode)
            if header is not None and header.premultiplied and self.mode == "RGBA":
                image = Image.frombytes("RGBa", self.size, image.tobytes()).convert("RGBA")
            self.im = image.im
        return super().load()


def register() -> None:
    """Register the format with Pillow."""
    Image.register_open(FORMAT, JxlImageFile, _accept)


def _accept(prefix: bytes) -> bool:
    return prefix.startswith((STREAM, CONTAINER))
