import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from image_retrieval.client.errors import UnusableImage, unusable
from image_retrieval.client.pictures import is_picture, name_of, opened, picture_bytes
from image_retrieval.collection import ResampleChoice
from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.settings import Settings

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
SETTINGS = Settings(_env_file=None)


def read(given, settings=SETTINGS):
    data = picture_bytes(given, settings, name_of(given))
    try:
        return opened(data, ResampleChoice(), settings)
    except ImageRejected as rejection:
        raise unusable(name_of(given), rejection) from None


def file_of(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_every_way_to_give_a_picture_is_the_same_picture(tmp_path):
    data = file_of(Image.fromarray(PIXELS))
    path = tmp_path / "a b.png"
    path.write_bytes(data)
    ways = [path, str(path), f"file://{path}", data, bytearray(data), memoryview(data), Image.fromarray(PIXELS), PIXELS]
    for given in ways:
        assert np.array_equal(np.asarray(read(given)), PIXELS), type(given)


@pytest.mark.parametrize("name", ["-", "data:x.png", "a\udcff.png"])
def test_a_path_is_a_path_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(file_of(Image.fromarray(PIXELS)))
    assert read(Path(name)).size == (7, 9)


def test_a_picture_that_was_opened_lies_as_its_file_does(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    path = tmp_path / "turned.png"
    path.write_bytes(file_of(Image.fromarray(PIXELS), exif=exif))
    from_file = read(path)
    assert from_file.size == (9, 7)
    with Image.open(path) as lazy:
        assert np.array_equal(np.asarray(read(lazy)), np.asarray(from_file))
    assert np.array_equal(np.asarray(read(from_file)), np.asarray(from_file))  # once, and not again


def test_a_colour_profile_is_applied_once(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.png"
    path.write_bytes(file_of(Image.fromarray(PIXELS), icc_profile=profile))
    once = read(path)
    assert once.info == {}
    assert np.array_equal(np.asarray(read(once)), np.asarray(once))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I;16", "RGBa"])
def test_pictures_of_every_mode_are_read(mode):
    image = Image.fromarray(PIXELS).convert("RGBA" if mode == "RGBa" else "RGB" if mode in ("I;16", "LAB") else mode)
    if mode == "I;16":
        image = Image.fromarray(PIXELS[:, :, 0].astype(np.uint16) * 257)
    elif mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    elif mode == "RGBa":
        image = image.convert(mode)
    assert image.mode == mode
    shown = read(image)
    assert (shown.mode, shown.size) == ("RGB", (7, 9))


@pytest.mark.parametrize(
    "pixels",
    [PIXELS[:, :, 0], PIXELS[:, :, :1], np.dstack([PIXELS, PIXELS[:, :, :1]]), PIXELS[::-1], np.asfortranarray(PIXELS)],
)
def test_arrays_of_pictures_are_read(pixels):
    assert read(pixels).size == (7, 9)
    assert is_picture(pixels)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (PIXELS / 255, "not float64"),
        (PIXELS.transpose(2, 0, 1), r"\(height, width, 3\).*not uint8 \(3, 9, 7\)"),
        (PIXELS[:0], "not uint8"),
        (5, "a picture must be a path, a URL, bytes, a PIL.Image, or an array .*, not int"),
        ("nowhere.png", "nowhere.png cannot be read: No such file"),
        ("no\nwhere.png", r"no\\nwhere.png cannot be read"),
        ("a\0b", "is not the name of a picture"),
        ("ftp://host/a.png", "is not a supported URL"),
        (Image.new("F", (2, 2)), "convert it to RGB or L first"),
        ("https://user:secret@host/a.png", "without user and password"),
    ],
)
def test_what_is_no_picture_is_told(given, told):
    with pytest.raises(UserError, match=told) as caught:
        read(given)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_picture_that_cannot_be_used_has_its_reason(tmp_path):
    path = tmp_path / "cut.jpg"
    path.write_bytes(file_of(Image.fromarray(PIXELS).resize((90, 70)), "JPEG")[:700])
    with Image.open(path) as lazy:
        for given, reason in ((b"", "empty_file"), (lazy, "truncated"), (path, "truncated")):
            with pytest.raises(UnusableImage, match=f"cannot be used: {reason}") as caught:
                read(given)
            assert caught.value.reason == reason
    small = SETTINGS.model_copy(update={"max_image_pixels": 10})
    with pytest.raises(UnusableImage, match="too_large: 7×9 pixels"):
        read(Image.fromarray(PIXELS), small)


def test_small_copies_keep_their_proportions():
    data = file_of(Image.new("RGB", (1000, 500), "red"), "JPEG")
    assert opened(data, ResampleChoice(), SETTINGS, 100).size == (100, 50)
    assert opened(data, ResampleChoice(), SETTINGS).size == (1000, 500)
