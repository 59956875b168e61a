"""How pictures are resampled, and their formats: what the decoding processes know of collections.yaml."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from image_retrieval.values import Region

Size = Annotated[int, Field(ge=1, le=4096)]
Channel = Annotated[int, Field(ge=0, le=255)]


class Strict(BaseModel):
    """A part of the file. Unknown keys are refused, and values cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResampleChoice(Strict):
    """How a picture of any size becomes the one that a model reads, as a user configures it."""

    target_size: tuple[Size, Size] | None = Field(
        None, description="width, height in pixels; null: the size in the model's files"
    )
    target_dpi: tuple[Size, Size] = Field((72, 72), description="written into the resampled file")
    method: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "lanczos"
    suffix: Literal[".png", ".jpg", ".webp"] = Field(".png", description="format of the resampled file")
    fit: Literal["stretch", "crop", "pad"] = Field("stretch", description="what happens to another aspect ratio")
    keep: bool = Field(True, description="write <image_id>_resample<suffix> beside the packed shards")
    background: tuple[Channel, Channel, Channel] = Field(
        (255, 255, 255), description="red, green, blue behind transparent pixels and around a padded picture"
    )
    frame: Literal["first", "middle", "last"] = Field("first", description="of an animation, or page of a document")
    truncated: Literal["refuse", "accept"] = Field(
        "refuse", description="files that end early: rejected, or shown in part"
    )
    raw: Literal["refuse", "preview"] = Field(
        "refuse", description="camera raw: rejected, or shown by its largest preview if that has nearly its size"
    )
    exact: bool = Field(False, description="decode and filter every pixel: Pillow's full result to the bit, and slower")

    def of_size(self, size: tuple[int, int], region: Region | None = None) -> "ResampleOptions":
        """The same options with a width and height."""
        return ResampleOptions.model_validate({**self.model_dump(), "target_size": size, "region": region})


class ResampleOptions(ResampleChoice):
    """How a picture of any size becomes the one that a model reads."""

    target_size: tuple[Size, Size] = Field((224, 224), description="width, height in pixels")
    region: Region | None = Field(None, description="the part of the upright picture that counts; null: all of it")


# the accepted formats, by their names in Pillow, in the order in which imaging/formats.py tries them, and the suffixes
# of objects that a source includes by default, first the one that is written; other objects are not read
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif"),
    "MPO": ("jpg", "mpo"),
    "PNG": ("png", "apng"),
    "WEBP": ("webp",),
    "AVIF": ("avif",),
    "HEIF": ("heic", "heif", "hif"),
    "GIF": ("gif",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "JPEG2000": ("jp2", "j2k", "jpx"),
    "JXL": ("jxl",),
    "PSD": ("psd",),
    "ICO": ("ico",),
    "ICNS": ("icns",),
    "PPM": ("ppm", "pgm", "pbm", "pnm"),
    "QOI": ("qoi",),
    "DDS": ("dds",),
    "SGI": ("sgi",),
    "PCX": ("pcx",),
    "TGA": ("tga",),  # the last one, since it has no signature
}
RAW = "RAW"  # the format of a camera raw's preview: raw files are listed only if a glob names them
SUFFIXES = tuple(dict.fromkeys(suffix for suffixes in FORMATS.values() for suffix in suffixes))
