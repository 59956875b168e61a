"""Reads EXIF: a picture's orientation and its time of capture."""

from datetime import datetime

from PIL import ExifTags, Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SEARCHED = 2**20  # bytes of a TIFF that are searched for EXIF
SIDEWAYS = (5, 6, 7, 8)  # orientations that exchange width and height


def read_exif(image: Image.Image, data: bytes) -> Image.Exif:
    """The EXIF of an opened image; empty if it is missing or broken, which does not reject the picture."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif", "xmp"} & set(image.info) and b"eXIf" not in data:
        return Image.Exif()  # Pillow would decode the whole picture to look for a chunk behind it
    try:
        return image.getexif()
    except Exception:  # decoders may raise anything
        return Image.Exif()


def exif_of_tiff(data: bytes) -> Image.Exif:
    """The EXIF of a file that is a TIFF, or looks like one; empty if it is broken."""
    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + data[:SEARCHED])
    except Exception:  # decoders may raise anything
        return Image.Exif()
    return exif


def orientation(exif: Image.Exif, otherwise: int = 1) -> int:
    """EXIF's orientation, 1 (upright) to 8; `otherwise` if it has none."""
    found = exif.get(ExifTags.Base.Orientation, otherwise)
    return found if found in TURNS else 1


def captured_at(exif: Image.Exif) -> datetime | None:
    """EXIF's DateTimeOriginal as the camera wrote it, without a time zone; None if it is missing or unreadable."""
    try:
        text = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        return datetime.strptime(text.strip(" \0"), "%Y:%m:%d %H:%M:%S")
    except Exception:  # a broken directory may raise anything
        return None


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned and mirrored according to EXIF's orientation."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image
