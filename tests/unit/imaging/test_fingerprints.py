import hashlib
from datetime import datetime

import pytest
from PIL import ExifTags, Image

from image_retrieval.collection import ResampleOptions
from image_retrieval.imaging.resample import Resampled, encode, prints_of_resampled, resample
from image_retrieval.scenes import draw_scenes
from unit.imaging.pictures import LIMITS, encoded, photo

SCENES = {scene.key: scene.data for scene in draw_scenes(40)}


def facts(data: bytes, **options) -> Resampled:
    return resample(data, ResampleOptions(**options), LIMITS)


def distance(one: bytes, other: bytes, **options) -> int:
    """How many bits of two perceptual hashes differ."""
    return ((facts(one).phash ^ facts(other, **options).phash) & (2**64 - 1)).bit_count()


def taken(**tags: str) -> bytes:
    exif = Image.Exif()
    for name, value in tags.items():
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[name]] = value
    return encoded(photo(64, 48), "JPEG", exif=exif)


def test_the_bytes_are_told_by_sha256():
    data = encoded(photo(96, 64), "PNG")
    assert facts(data).sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_the_mode_is_the_colour_model_of_the_original(mode):
    assert facts(encoded(photo(32, 24).convert(mode), "PNG")).mode == mode


def test_a_hash_fits_into_a_bigint_and_does_not_depend_on_what_is_made_of_the_picture():
    data = encoded(photo(640, 480), "PNG")
    assert -(2**63) <= facts(data).phash < 2**63
    for options in ({"fit": "crop"}, {"fit": "pad"}, {"exact": True}, {"target_size": (64, 48)}, {"method": "nearest"}):
        assert distance(data, data, **options) <= 2


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF"])
def test_another_format_and_size_differ_in_few_bits(format):
    smaller = photo(1200, 900).resize((500, 375))
    assert distance(encoded(photo(1200, 900), "JPEG"), encoded(smaller, format)) <= 4


def test_a_turned_picture_has_the_hash_of_its_upright_twin():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned = photo(640, 480).transpose(Image.Transpose.ROTATE_90)
    assert distance(encoded(photo(640, 480), "PNG"), encoded(turned, "PNG", exif=exif)) <= 2


def test_near_duplicates_differ_in_fewer_bits_than_different_scenes():
    near = [key for key in SCENES if key.endswith("_again.jpg")]
    for key in near:
        first = next(other for other in SCENES if other.startswith(key.removesuffix("_again.jpg") + "."))
        assert distance(SCENES[key], SCENES[first]) < 16
        others = [distance(SCENES[key], data) for other, data in SCENES.items() if other not in (key, first)]
        assert sum(others) / len(others) > 20


def test_the_time_of_capture_is_the_cameras():
    assert facts(taken(DateTimeOriginal="2026:11:21 08:09:10")).captured_at == datetime(2026, 11, 21, 8, 9, 10)


@pytest.mark.parametrize("text", ["", "0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "2026-11-21T08:09:10"])
def test_a_broken_time_of_capture_is_none(text):
    assert facts(taken(DateTimeOriginal=text)).captured_at is None


def test_the_time_of_change_is_not_that_of_capture():
    assert facts(taken(DateTimeDigitized="2026:11:21 08:09:10")).captured_at is None


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_that_has_it_tells_the_time_of_capture(format):
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Camera"  # Pillow writes no EXIF that has nothing on its first level
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:21 08:09:10"
    data = encoded(photo(64, 48), format, exif=exif.tobytes())
    assert facts(data).captured_at == datetime(2026, 11, 21, 8, 9, 10)


@pytest.mark.parametrize("options", [{}, {"suffix": ".jpg"}, {"fit": "pad"}, {"fit": "pad", "target_size": (90, 300)}])
def test_the_hash_of_a_resampled_file_is_nearly_that_of_the_original(options):
    for data in [encoded(photo(640, 360), "PNG"), *list(SCENES.values())[:10]]:
        chosen = ResampleOptions(**options)
        found = resample(data, chosen, LIMITS)
        file = encode(found.pixels, chosen)
        kept = prints_of_resampled(file, found.width, found.height, chosen).phash
        assert ((kept ^ found.phash) & (2**64 - 1)).bit_count() <= 4


def test_a_cropped_file_tells_no_hash():
    chosen = ResampleOptions(fit="crop")
    found = resample(encoded(photo(640, 360), "PNG"), chosen, LIMITS)
    assert prints_of_resampled(encode(found.pixels, chosen), 640, 360, chosen).phash is None
