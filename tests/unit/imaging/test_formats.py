import pytest

from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.formats import ACCEPTED, open_image
from unit.imaging.pictures import LIMITS, encoded, photo, written


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "EPS or PostScript: only another program"),
        (b"\xc5\xd0\xd3\xc6" + b"\0" * 28, "EPS or PostScript: only another program"),
        (encoded(photo(8, 8), "EPS"), "EPS or PostScript: only another program"),
        (encoded(photo(8, 8), "PDF"), "PDF: only another program"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG: only another program"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='1' height='1'/>", "SVG: only another program"),
        (b"\xd7\xcd\xc6\x9a" + b"\0" * 40, "WMF or EMF: only another program"),
        (b"8BPS\0\1" + b"\0" * 40, "Photoshop document: no decoder"),
        (b"\xff\x0a" + b"\0" * 40, "JPEG XL: no decoder"),
        (b"PK\x03\x04" + b"\0" * 40, "archive: it holds no pixels"),
        (b"\0\0\0\x20ftypisom" + b"\0" * 40, "video: it holds no pixels"),
        (b"<!DOCTYPE html><html>not found</html>", "web page: it holds no pixels"),
        (b"not a picture, just text", "starts with b'not a pi'"),
    ],
)
def test_what_is_not_accepted_is_refused_by_its_name(data, told):
    with pytest.raises(ImageRejected) as rejected:
        open_image(data, max_pixels=LIMITS.pixels)
    assert rejected.value.reason is Reason.UNSUPPORTED_FORMAT
    assert rejected.value.detail.startswith(told)


@pytest.mark.parametrize("format", [*ACCEPTED, "MPO"])
def test_an_accepted_format_is_told_by_its_content(format):
    with open_image(written(format), max_pixels=LIMITS.pixels) as image:
        assert image.format == format
