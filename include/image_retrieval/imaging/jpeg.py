"""JPEG as it is found: without its last marker, with a gain map behind it."""

import pyvips

START = b"\xff\xd8\xff"
END = b"\xff\xd9"
# names of the metadata of pictures that carry a gain map: ISO 21496-1, Ultra HDR of Android, Apple's
GAIN_MAPS = (
    b"urn:iso:std:iso:ts:21496:-1",
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
)


def has_gain_map(data: bytes) -> bool:
    """Whether the further pictures of a file only say how bright an HDR display may show the first one."""
    return any(name in data for name in GAIN_MAPS)


def with_its_end(data: bytes) -> bytes | None:
    """A JPEG that lacks nothing but its last marker, with that; None where pixels are missing, too."""
    whole = data + END
    try:
        # libvips tells what libjpeg makes up for what is missing, which Pillow keeps to itself
        pyvips.Image.jpegload_buffer(whole, access="sequential", fail_on="warning").avg()
    except pyvips.Error:
        return None
    return whole
