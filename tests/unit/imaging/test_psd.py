"""Photoshop documents show the flat picture that Photoshop keeps beside the layers."""

import pytest
from PIL import Image, ImageChops

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decode import decode
from unit.imaging.pictures import LIMITS, photo, psd, shown


def rejection(data: bytes) -> ImageRejected:
    with pytest.raises(ImageRejected) as rejected:
        decode(data, ResampleOptions(), LIMITS)
    return rejected.value


@pytest.mark.parametrize(("mode", "number"), [("L", 1), ("RGB", 3), ("CMYK", 4), ("RGBA", 3)])
def test_the_flat_picture_is_shown(mode, number):
    image = photo(96, 64).convert(mode)
    stored = ImageChops.invert(image) if mode == "CMYK" else image
    assert shown(psd(stored, number)).tobytes() == image.convert("RGB").tobytes()


@pytest.mark.parametrize(("layers", "seen"), [(-1, (255, 255, 255)), (0, (255, 0, 0)), (1, (255, 0, 0))])
def test_a_channel_is_transparency_where_its_layers_say_so(layers, seen):
    assert shown(psd(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), layers=layers)).getpixel((1, 1)) == seen


@pytest.mark.parametrize("has_it", [True, False])
def test_without_a_flat_picture_is_undecodable(has_it):
    resource = b"8BIM" + (1057).to_bytes(2, "big") + b"\0\0" + (6).to_bytes(4, "big") + b"\0\0\0\1" + bytes([has_it, 0])
    data = psd(photo(96, 64), resources=resource)
    if has_it:
        assert shown(data).tobytes() == photo(96, 64).tobytes()
    else:
        assert rejection(data).reason is Reason.UNDECODABLE
        assert "flat picture" in rejection(data).detail


@pytest.mark.parametrize("frame", ["first", "middle", "last"])
def test_layers_are_no_frames(frame):
    assert shown(psd(photo(96, 64), layers=3), frame=frame).tobytes() == photo(96, 64).tobytes()
