"""The batched views against formulas written as loops over pixels."""

import colorsys
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.training.batched_augmentations import (
    View,
    blurred,
    boxes_of,
    cropped,
    grey,
    jittered,
    turned,
    view,
    whole,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(sizes: list[tuple[int, int]], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, padded with values that no view may show."""
    pixels = torch.full((len(sizes), 3, *np.max(sizes, axis=0)), 255, dtype=torch.uint8)
    for at, (high, wide) in enumerate(sizes):
        pixels[at, :, :high, :wide] = torch.randint(0, 200, (3, high, wide), generator=rng(seed), dtype=torch.uint8)
    return pixels, torch.tensor(sizes)


def sampled(channel: np.ndarray, x: float, y: float) -> float:
    """Bilinear, at coordinates where the middle of the first pixel is 0.5; beyond the edge, the edge goes on."""
    high, wide = channel.shape
    x, y = min(max(x - 0.5, 0), wide - 1), min(max(y - 0.5, 0), high - 1)
    left, top = math.floor(x), math.floor(y)
    right, below = min(left + 1, wide - 1), min(top + 1, high - 1)
    upper = channel[top, left] * (1 - (x - left)) + channel[top, right] * (x - left)
    lower = channel[below, left] * (1 - (x - left)) + channel[below, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_is_what_a_loop_over_pixels_samples(mirrored):
    pixels, sizes = pictures([(9, 13), (11, 7)])
    boxes = torch.tensor([[2.3, 1.1, 6.0, 4.5], [0.0, 3.0, 7.0, 8.0]])
    found = cropped(pixels, sizes, boxes, torch.tensor([mirrored, mirrored]), 6)
    fine = 1  # no box is 1.5 times as large as the crop
    for at, (left, top, wide, high) in enumerate(boxes.tolist()):
        own = pixels[at, 1, : sizes[at, 0], : sizes[at, 1]].numpy() / 255
        for row in range(6):
            for column in range(6):
                x = left + wide * (column + 0.5) / (6 * fine)
                place = 5 - column if mirrored else column
                expected = sampled(own, x, top + high * (row + 0.5) / (6 * fine))
                assert found[at, 1, row, place].item() == pytest.approx(expected, abs=1e-5)


def test_a_large_box_is_averaged():
    pixels, sizes = pictures([(64, 64)])
    found = whole(pixels, sizes, 8)
    exact = torch.nn.functional.avg_pool2d(pixels.float() / 255, 8)
    assert (found - exact).abs().max() < 0.02  # 8 samples across a pixel of 8
    assert found.std() < 0.3 * (pixels.float() / 255).std()


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=4), st.integers(0, 99))
def test_boxes_lie_within_their_pictures(sizes, seed):
    given = torch.tensor(sizes)
    left, top, wide, high = boxes_of(given, (0.08, 1.0), rng(seed)).unbind(1)
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + wide <= given[:, 1] + 1e-3).all()
    assert (top + high <= given[:, 0] + 1e-3).all()
    assert (wide > 0).all()
    assert (high > 0).all()


@given(st.integers(0, 999))
def test_a_view_shows_no_padding(seed):
    pixels, sizes = pictures([(9, 30), (30, 9)], seed)
    plain = View(12, (0.3, 1.0), jittered=0, grey=0, blurred=0)
    found = view(pixels, sizes, plain, rng(seed))
    assert found.shape == (2, 3, 12, 12)
    assert found.max() <= 200 / 255


def test_areas_of_boxes_are_spread_over_what_is_asked():
    sizes = torch.tensor([[100, 100]] * 4_000)
    _, _, wide, high = boxes_of(sizes, (0.2, 0.5), rng()).unbind(1)
    areas = wide * high / 10_000
    assert 0.199 < areas.min() < 0.21
    assert 0.49 < areas.max() < 0.501
    assert areas.mean().item() == pytest.approx(0.35, abs=0.01)
    assert (wide / high).log().abs().max() <= math.log(4 / 3) + 1e-4


def test_a_turned_hue_is_that_of_colorsys():
    pixels = torch.rand(2, 3, 4, 5, generator=rng())
    pixels[0, :, 0, 0] = 0.4  # grey has no hue
    turns = torch.tensor([0.07, -0.3])
    found = turned(pixels, turns.view(-1, 1, 1))
    for at in range(2):
        for row in range(4):
            for column in range(5):
                hue, saturation, value = colorsys.rgb_to_hsv(*pixels[at, :, row, column].tolist())
                expected = colorsys.hsv_to_rgb((hue + turns[at].item()) % 1, saturation, value)
                assert found[at, :, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_jitter_is_what_a_loop_over_pixels_gives():
    pixels = torch.rand(1, 3, 3, 4, generator=rng())
    brightness, contrast, saturation = 0.3, -0.4, 0.5

    def luma(pixel: np.ndarray) -> float:
        return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]

    lit = [[np.clip(pixels[0, :, y, x].numpy() * (1 + brightness), 0, 1) for x in range(4)] for y in range(3)]
    middle = sum(luma(pixel) for row in lit for pixel in row) / 12
    found = jittered(pixels, torch.tensor([[brightness, contrast, saturation, 0.0]]))
    for y in range(3):
        for x in range(4):
            pixel = np.clip(middle + (lit[y][x] - middle) * (1 + contrast), 0, 1)
            expected = np.clip(luma(pixel) + (pixel - luma(pixel)) * (1 + saturation), 0, 1)
            assert found[0, :, y, x].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_blur_is_the_gaussian_of_each_picture():
    pixels = torch.rand(2, 3, 15, 15, generator=rng())
    sigmas = torch.tensor([0.5, 1.5])
    found = blurred(pixels, sigmas)
    for at, sigma in enumerate(sigmas.tolist()):
        reach = 5  # three sigmas of the larger one, rounded up
        total = value = 0.0
        for down in range(-reach, reach + 1):
            for across in range(-reach, reach + 1):
                weight = math.exp(-(down**2 + across**2) / (2 * sigma**2))
                total += weight
                value += weight * pixels[at, 2, 7 + down, 7 + across].item()
        assert found[at, 2, 7, 7].item() == pytest.approx(value / total, abs=1e-5)


def test_grey_is_pillows():
    from PIL import Image

    pixels = torch.randint(0, 256, (1, 3, 8, 8), generator=rng(), dtype=torch.uint8)
    image = Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).convert("L")
    assert (grey(pixels / 255)[0, 0] * 255 - torch.from_numpy(np.array(image)).float()).abs().max() <= 0.51


def test_the_same_seed_gives_the_same_views_and_another_one_others():
    pixels, sizes = pictures([(20, 20)] * 4)
    how = View(16, (0.2, 1.0), solarized=0.2)
    first, same, other = (view(pixels, sizes, how, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-5


def test_what_always_happens_happens():
    pixels, sizes = pictures([(20, 20)] * 3)
    same = View(20, (1.0, 1.0), jittered=0, grey=0, blurred=0, mirrored=0)
    seen = view(pixels, sizes, same, rng())
    flipped = view(pixels, sizes, same._replace(mirrored=1.0), rng())
    assert torch.allclose(flipped, seen.flip(3), atol=1e-6)
    grey_one = view(pixels, sizes, same._replace(grey=1.0), rng())
    assert torch.allclose(grey_one, grey(seen), atol=1e-6)
    dark = view(pixels, sizes, same._replace(solarized=1.0), rng())
    assert torch.allclose(dark, torch.where(seen >= 0.5, 1 - seen, seen), atol=1e-6)
