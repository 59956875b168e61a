import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.collection import FORMATS, SUFFIXES, ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decode import decode
from image_retrieval.imaging.formats import ACCEPTED, open_image
from image_retrieval.imaging.signatures import description_of
from unit.imaging.pictures import LIMITS, encoded, photo, written


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "EPS or PostScript: only another program"),
        (b"\xc5\xd0\xd3\xc6" + b"\0" * 28, "EPS or PostScript: only another program"),
        (encoded(photo(8, 8), "EPS"), "EPS or PostScript: only another program"),
        (encoded(photo(8, 8), "PDF"), "PDF: only another program"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG: only another program"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='1' height='1'/>", "SVG: only another program"),
        (b"\xd7\xcd\xc6\x9a" + b"\0" * 40, "WMF or EMF: only another program"),
        (b"gimp xcf file\0" + b"\0" * 40, "GIMP document: no decoder"),
        (b"SIMPLE  =                    T", "FITS: no decoder"),
        (b"PK\x03\x04" + b"\0" * 40, "archive: it holds no pixels"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 40, "video: it holds no pixels"),
        (b"<!DOCTYPE html><html>not found</html>", "HTML page: it holds no pixels"),
        (b"\0\x05\x16\x07\0\2\0\0" + bytes(40), "AppleDouble metadata of macOS: it holds no pixels"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "Git LFS pointer: the picture was never fetched",
        ),
        (b"../.git/annex/objects/xx/SHA256-s3--00.jpg\n", "git-annex pointer: the picture was never fetched"),
        (b"\n <html><head><title>404</title>", "HTML page: it holds no pixels"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "XML: it holds no pixels"),
        (b'{"error": "not found"}', "JSON: it holds no pixels"),
        (b'[{"id": 1}]', "JSON: it holds no pixels"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "OLE document, such as Thumbs.db: it holds no pixels"),
        (
            b"\0\0\x01\xe0lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(9),
            "ICC profile: it holds no pixels",
        ),
        (b"v/1\x01" + bytes(40), "OpenEXR: no decoder"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR: no decoder"),
        (b"\0\0\0\x14ftypabcd\0\0\0\0abcd" + bytes(20), "ISO media file of brand b'abcd': no decoder"),
        (b"\n" + written("JPEG"), "JPEG that begins at byte 1, behind data that starts with b'\\n'"),
        (b"not a picture, just text", "starts with b'not a pi'"),
    ],
)
def test_what_is_not_accepted_is_refused_by_its_name(data, description):
    with pytest.raises(ImageRejected) as rejected:
        open_image(data, max_pixels=LIMITS.pixels)
    assert rejected.value.reason is Reason.UNSUPPORTED_FORMAT
    assert rejected.value.detail.startswith(description)


@pytest.mark.parametrize("format", [*ACCEPTED, "MPO"])
def test_an_accepted_format_is_told_by_its_content(format):
    with open_image(written(format), max_pixels=LIMITS.pixels) as image:
        assert image.format == format


BROKEN = b"\xff\x00broken\x7f" * 20
SIGNED = {
    "JPEG": b"\xff\xd8\xff\xe0",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "WEBP": b"RIFF\x40\0\0\0WEBPVP8 ",
    "AVIF": b"\0\0\0\x14ftypavif\0\0\0\0mif1",
    "HEIF": b"\0\0\0\x14ftypheic\0\0\0\0mif1",
    "HEIF of a later brand": b"\0\0\0\x14ftypunif\0\0\0\0mif2",
    "GIF": b"GIF89a",
    "BMP": b"BM",
    "TIFF": b"II*\0",
    "TIFF, big-endian": b"MM\0*",
    "BigTIFF": b"II+\0\x08\0\0\0",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG 2000 stream": b"\xff\x4f\xff\x51",
    "JPEG XL": b"\xff\x0a",
    "JPEG XL file": b"\0\0\0\x0cJXL \r\n\x87\n",
    "PSD": b"8BPS\0\1" + bytes(16) + b"\0\x08\0\3",
    "large PSD": b"8BPS\0\2" + bytes(16) + b"\0\x08\0\3",
    "PSD of 16 bits": b"8BPS\0\1" + bytes(16) + b"\0\x10\0\3",
    "ICNS": b"icns\0\0\1\0",
    "PPM": b"P6\n",
    "QOI": b"qoif",
    "DDS": b"DDS ",
    "SGI": b"\x01\xda\x01\x01",
}


@pytest.mark.parametrize("rest", [b"", BROKEN, bytes(100)], ids=["nothing", "noise", "zeros"])
@pytest.mark.parametrize("name", SIGNED)
def test_what_has_a_signature_is_told_in_its_decoders_words(name, rest):
    with pytest.raises(ImageRejected) as rejected:
        decode(SIGNED[name] + rest, ResampleOptions(), LIMITS)
    assert rejected.value.reason in (Reason.UNDECODABLE, Reason.TRUNCATED, Reason.TOO_LARGE)
    assert rejected.value.detail
    assert "starts with" not in rejected.value.detail


def reason_of(data: bytes) -> Reason | None:
    try:
        decode(data, ResampleOptions(), LIMITS)
    except ImageRejected as rejected:
        return rejected.reason
    return None


@given(st.sampled_from(sorted(SIGNED)), st.binary(max_size=200))
def test_no_signature_is_called_unsupported(name, rest):
    assert reason_of(SIGNED[name] + rest) is not Reason.UNSUPPORTED_FORMAT


@given(st.binary(max_size=300))
def test_anything_has_a_description(data):
    assert description_of(data)


@pytest.mark.parametrize("format", FORMATS)
def test_an_accepted_format_has_a_suffix_that_is_listed(format):
    assert set(FORMATS[format]) <= set(SUFFIXES)
