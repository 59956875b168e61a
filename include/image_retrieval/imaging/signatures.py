"""Names a file that no decoder accepts by its first bytes, for the list of rejections."""

import re

OTHER_PROGRAM = "only another program could draw it"
NOT_PIXELS = "it holds no pixels"
NO_DECODER = "no decoder is installed"
SEARCHED = 8192  # first bytes that are searched for a JPEG picture behind other data
SIGNATURES: tuple[tuple[re.Pattern[bytes], str, str], ...] = tuple(
    (re.compile(start, re.DOTALL | re.IGNORECASE), name, cause)
    for start, name, cause in (
        (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS or PostScript", OTHER_PROGRAM),
        (rb"\s*%PDF-", "PDF", OTHER_PROGRAM),
        (rb"(\xef\xbb\xbf)?\s*<(svg|(\?xml|!--|!doctype svg).{0,2000}?<svg)", "SVG", OTHER_PROGRAM),
        (rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", "WMF or EMF", OTHER_PROGRAM),
        (rb"\x89HDF", "HDF5", OTHER_PROGRAM),
        (rb"GRIB|BUFR", "GRIB or BUFR", OTHER_PROGRAM),
        (rb"gimp xcf", "GIMP document", NO_DECODER),
        (rb"SIMPLE  =", "FITS", NO_DECODER),
        (rb"v/1\x01", "OpenEXR", NO_DECODER),
        (rb"#\?(RADIANCE|RGBE)", "Radiance HDR", NO_DECODER),
        (rb"farbfeld", "farbfeld", NO_DECODER),
        (rb"BLP[12]", "BLP texture", NO_DECODER),
        (rb"P7[\s]", "PAM", NO_DECODER),
        (rb"P[Ff]\s", "PFM", NO_DECODER),
        (rb"/\* XPM \*/", "XPM", NO_DECODER),
        (rb"#define \S{1,80}_width", "XBM", NO_DECODER),
        (rb"FORM.{4}(ILBM|PBM )", "IFF of Amiga", NO_DECODER),
        (rb"SDPX|XPDS", "DPX", NO_DECODER),
        (rb"Paint Shop Pro Image File", "Paint Shop Pro document", NO_DECODER),
        (rb"PGF[0-9]", "PGF", NO_DECODER),
        (rb"FTEX|DanM|LinS", "FTEX or MSP", NO_DECODER),
        (rb"\x59\xa6\x6a\x95", "Sun raster", NO_DECODER),
        (rb"II\xbc\x01", "JPEG XR", NO_DECODER),
        (rb"FLIF|BPG\xfb", "FLIF or BPG", NO_DECODER),
        (rb"[\x8a\x8b][MJ]NG\r\n\x1a\n", "MNG or JNG", NO_DECODER),
        (rb"AT&TFORM", "DjVu", NO_DECODER),
        (rb"\xabKTX ", "KTX texture", NO_DECODER),
        (rb".{128}DICM", "DICOM", NO_DECODER),
        (rb"\0\0\x02\0[^\0]\0", "cursor of Windows", NO_DECODER),
        (rb".{4}[\x11\x12]\xaf.{6}[\0\x08\x0f\x10\x18]\0", "FLI or FLC animation", NO_DECODER),
        (rb"PK\x03\x04|\x1f\x8b|BZh|\xfd7zXZ|Rar!|7z\xbc\xaf|\x28\xb5\x2f\xfd", "archive", NOT_PIXELS),
        (
            rb".{4}ftyp(isom|mp4|iso[2-9]|avc1|qt  |M4[AV]|3g|dash)|.{4}(moov|mdat|wide)|\x1aE\xdf\xa3|RIFF.{4}AVI "
            rb"|\0\0\x01[\xb3\xba]|YUV4MPEG",
            "video",
            NOT_PIXELS,
        ),
        (rb"ID3|fLaC|OggS|RIFF.{4}WAVE", "sound", NOT_PIXELS),
        (rb"\0\x05\x16[\0\x07]\0[\x01\x02]\0\0", "AppleDouble metadata of macOS", NOT_PIXELS),
        (rb"version https?://git-(lfs|media)\.", "Git LFS pointer", "the picture was never fetched"),
        (rb"/annex/objects/|(\.\./)*\.git/annex/", "git-annex pointer", "the picture was never fetched"),
        (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "OLE document, such as Thumbs.db", NOT_PIXELS),
        (rb"(\xef\xbb\xbf)?\s*(<!--.{0,1000}?-->\s*)?<(!doctype html|html|head|body)", "HTML page", NOT_PIXELS),
        (rb"(\xef\xbb\xbf)?\s*<\?xml|<Error>", "XML", NOT_PIXELS),
        (rb"(\xef\xbb\xbf)?\s*(\{\s*(\"|\})|\[\s*[\[{\"\]])", "JSON", NOT_PIXELS),
        (rb".{36}acsp", "ICC profile", NOT_PIXELS),
        (rb"\x7fELF|MZ", "program", NOT_PIXELS),
        (rb"#!", "script", NOT_PIXELS),
    )
)


def description_of(data: bytes) -> str:
    """A name and the reason why it is not supported; for an unknown file, its first eight bytes."""
    for start, name, cause in SIGNATURES:
        if start.match(data):
            return f"{name}: {cause}"
    if data[4:8] == b"ftyp":
        return f"ISO media file of brand {data[8:12]!r}: {NO_DECODER}"
    picture = data.find(b"\xff\xd8\xff", 0, SEARCHED)
    if picture > 0:
        return f"JPEG that begins at byte {picture}, behind data that starts with {data[: min(8, picture)]!r}"
    return f"starts with {data[:8]!r}"
