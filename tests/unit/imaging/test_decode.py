import numpy as np
import pytest
from PIL import Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decode import Limits, decode
from image_retrieval.imaging.formats import ACCEPTED
from unit.imaging.pictures import LIMITS, array, encoded, opened, photo, ramp, shown, written

OPTIONS = ResampleOptions()
# what exif_transpose does to a picture of each orientation, undone
STORED_AS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
# width as text, orientation 6: Pillow reads it, and fails to write it again
EXIF_THAT_CANNOT_BE_WRITTEN = (
    b"Exif\0\0II*\0\x08\0\0\0\x02\0"
    b"\x00\x01\x02\x00\x02\x00\x00\x00x\0\0\0"
    b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\0\0\0"
    b"\0\0\0\0"
)


def rejection(data: bytes, max_pixels: int = LIMITS.pixels, **options) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        decode(data, ResampleOptions(**options), Limits(max_pixels, LIMITS.frames))
    return rejected.value


@pytest.mark.parametrize("format", [*ACCEPTED, "MPO"])
def test_a_format_is_told_by_its_content(format):
    picture = decode(written(format), OPTIONS, LIMITS)
    assert picture.format == format
    assert picture.image.mode == "RGB"
    assert (picture.width, picture.height) == picture.image.size == ((64, 64) if format == "ICNS" else (64, 48))


@pytest.mark.parametrize(
    ("mode", "format"),
    [
        ("L", "PNG"),
        ("L", "JPEG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("PA", "TIFF"),
        ("RGB", "PNG"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
        ("LAB", "TIFF"),
    ],
)
def test_every_mode_decodes_to_the_same_greys(mode, format):
    options = {"lossless": True} if format == "WEBP" else {}
    image = ramp() if mode in ("P", "PA") else ramp().convert("RGB")
    data = encoded(image.convert(mode), format, **options)
    pixels = shown(data)
    assert pixels.mode == "RGB"
    assert np.abs(array(pixels) - array(ramp().convert("RGB"))).max() <= 5


@pytest.mark.parametrize(
    ("values", "format"),
    [
        (array(ramp()).astype(np.uint16) * 257, "PNG"),
        (array(ramp()).astype(np.uint16) * 257, "TIFF"),
        (array(ramp()).astype(np.int32) * 257, "TIFF"),
        (array(ramp()).astype(np.float32) / 255, "TIFF"),
        (array(ramp()).astype(np.float32) * 1000 - 5000, "TIFF"),
    ],
    ids=["16-bit PNG", "16-bit TIFF", "32-bit TIFF", "float TIFF from 0 to 1", "float TIFF of any range"],
)
def test_greys_of_more_than_8_bits_keep_their_range(values, format):
    pixels = shown(encoded(Image.fromarray(values), format))
    assert pixels.mode == "RGB"
    assert np.abs(array(pixels) - array(ramp().convert("RGB"))).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF", "GIF"])
def test_black_and_white_stays_black_and_white(format):
    image = Image.new("1", (4, 2), 1)
    image.putpixel((0, 0), 0)
    pixels = shown(encoded(image, format))
    assert [pixels.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]


def palette() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    return image


def two_pixels(mode: str, *values: object) -> Image.Image:
    image = Image.new(mode, (2, 1))
    image.putdata(list(values))
    return image


@pytest.mark.parametrize(
    ("data", "colours"),
    [
        (encoded(two_pixels("RGBA", (255, 0, 0, 255), (0, 0, 255, 0)), "PNG"), [(255, 0, 0), (255, 255, 255)]),
        (encoded(two_pixels("RGBA", (0, 0, 0, 128), (0, 0, 0, 64)), "PNG"), [(127, 127, 127), (191, 191, 191)]),
        (encoded(two_pixels("LA", (0, 255), (0, 0)), "PNG"), [(0, 0, 0), (255, 255, 255)]),
        (encoded(two_pixels("L", 0, 9), "PNG", transparency=9), [(0, 0, 0), (255, 255, 255)]),
        (
            encoded(two_pixels("RGB", (255, 0, 0), (0, 0, 255)), "PNG", transparency=(0, 0, 255)),
            [(255, 0, 0), (255, 255, 255)],
        ),
        (encoded(palette(), "PNG", transparency=1), [(255, 0, 0), (255, 255, 255)]),
        (encoded(palette(), "PNG", transparency=b"\xff\x00"), [(255, 0, 0), (255, 255, 255)]),
        (encoded(palette(), "GIF", transparency=1), [(255, 0, 0), (255, 255, 255)]),
    ],
    ids=["RGBA", "RGBA half", "LA", "L with a colour", "RGB with a colour", "P with a colour", "P with alpha", "GIF"],
)
def test_what_is_transparent_shows_white(data, colours):
    pixels = shown(data)
    assert [pixels.getpixel((x, 0)) for x in (0, 1)] == colours


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_shows_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    red, green, blue = shown(data).getpixel((4, 4))
    assert red > 245
    assert max(green, blue) < 10


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", STORED_AS)
def test_an_oriented_picture_equals_its_upright_twin(format, orientation):
    upright = photo(96, 64)
    turn = STORED_AS[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 95, "subsampling": "4:4:4"},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    }.get(format, {})
    stored = encoded(upright if turn is None else upright.transpose(turn), format, exif=exif, **options)
    picture = decode(stored, OPTIONS, LIMITS)
    assert (picture.width, picture.height) == shown(stored).size == (96, 64)
    assert np.abs(array(shown(stored)) - array(upright)).mean() < 3


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_scaled_decoding_keeps_the_size_of_the_original(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo(1600, 1200), "JPEG", exif=exif)
    picture = decode(data, OPTIONS, LIMITS, lambda width, height: 5)
    assert (picture.width, picture.height) == ((1600, 1200) if orientation == 1 else (1200, 1600))
    assert picture.covered == picture.image.size == (400, 300)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"not a picture, just text", Reason.UNSUPPORTED_FORMAT),
        (b"\0" * 1000, Reason.UNSUPPORTED_FORMAT),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED_FORMAT),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", Reason.UNSUPPORTED_FORMAT),
        (b"%PDF-1.7\n", Reason.UNSUPPORTED_FORMAT),
    ],
)
def test_what_is_no_picture_is_rejected_with_its_reason(data, reason):
    assert rejection(data).reason is reason


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_a_picture_that_ends_early_is_truncated(format):
    data = encoded(photo(96, 64), format)
    assert rejection(data[: len(data) // 2]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "JPEG2000"])
def test_a_picture_that_ends_early_is_rejected(format):
    data = encoded(photo(96, 64), format)
    assert rejection(data[: len(data) // 2]).reason in (
        Reason.TRUNCATED,
        Reason.UNDECODABLE,
        Reason.UNSUPPORTED_FORMAT,
    )


def test_a_broken_picture_is_undecodable():
    data = bytearray(encoded(photo(96, 64), "PNG"))
    data[1000:1050] = b"\xff" * 50
    assert rejection(bytes(data)).reason is Reason.UNDECODABLE


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("limit", [100, 6143])
def test_a_picture_of_too_many_pixels_is_too_large(format, limit):
    data = encoded(photo(96, 64), format)
    assert rejection(data, max_pixels=limit).reason is Reason.TOO_LARGE
    assert decode(data, OPTIONS, Limits(96 * 64, 1)).width == 96


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [b"Exif\0\0garbage", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0", EXIF_THAT_CANNOT_BE_WRITTEN],
    ids=["no TIFF", "cut", "empty", "not writable"],
)
def test_broken_exif_costs_no_picture(format, exif):
    picture = decode(encoded(photo(96, 64), format, exif=exif), OPTIONS, LIMITS)
    assert {picture.width, picture.height} == {96, 64}


def test_the_original_is_not_changed():
    data = encoded(photo(96, 64), "PNG")
    pixels = shown(data)
    assert pixels.tobytes() == opened(data).tobytes()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "MPO"])
@pytest.mark.parametrize(("frame", "colour"), [("first", "red"), ("middle", "lime"), ("last", "blue")])
def test_a_setting_chooses_the_frame(format, frame, colour):
    frames = [Image.new("RGB", (16, 16), name) for name in ("red", "lime", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    found = array(shown(data, frame=frame)).mean(axis=(0, 1))
    assert np.abs(found - array(Image.new("RGB", (1, 1), colour))[0, 0]).max() < 12


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_more_frames_than_the_limit_are_too_large(format):
    frames = [Image.new("RGB", (8, 8), (50 * number, 0, 255 - 50 * number)) for number in range(5)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert decode(data, OPTIONS, Limits(LIMITS.pixels, 5)).width == 8
    with pytest.raises(ImageRejected, match="5 frames are over the limit of 4"):
        decode(data, OPTIONS, Limits(LIMITS.pixels, 4))


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF"])
def test_where_truncated_files_are_accepted_what_was_decoded_is_shown(format):
    whole = shown(encoded(photo(96, 64), format))
    data = encoded(photo(96, 64), format)
    found = shown(data[: len(data) * 3 // 4], truncated="accept")
    assert found.size == (96, 64)
    assert np.abs(array(found)[:16] - array(whole)[:16]).mean() < 2 or format == "BMP"  # which is stored from below
    assert rejection(data[: len(data) * 3 // 4]).reason is Reason.TRUNCATED


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_the_faster_decoder_and_pillow_read_the_same_pixels(mode):
    data = encoded(photo(97, 63).convert(mode), "PNG")
    assert shown(data) == opened(data).convert("RGB")


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 0.25, 0.5], [0, 64, 128]),
        ([0.0, 128.0, 255.0], [0, 128, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, 1000.0, 2000.0], [0, 128, 255]),
        ([float("nan"), 0.5, float("inf")], [0, 128, 255]),
        ([float("nan")] * 3, [0, 0, 0]),
    ],
)
def test_floats_keep_their_range(values, seen):
    data = encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert array(shown(data))[0, :, 0].tolist() == seen


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=["plain", "progressive", "restarts"]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_without_its_last_marker_is_whole(mode, options):
    data = encoded(photo(96, 64).convert(mode), "JPEG", **options)
    for missing in (1, 2):
        assert shown(data[:-missing]).tobytes() == shown(data).tobytes()
    for missing in (3, 4, 10, 100, len(data) // 2):
        assert rejection(data[:-missing]).reason is Reason.TRUNCATED
