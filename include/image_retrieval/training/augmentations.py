"""Views of pictures: random changes, as of copies, so that the kind of things counts more than their place."""

import io
import math

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

BOXES = 4  # of this many crops, the one with the most contrast is used, since an empty one teaches nothing
TINT, SLIGHT_TINT = 0.16, 0.06
JPEG_SHARE, BLUR_SHARE = 0.15, 0.35


def view(pixels: torch.Tensor, least: float, rng: torch.Generator) -> torch.Tensor:
    """A view of each of float pictures (n, 3, side, side) of 0 to 1, of `least` to all of its area, as -1 to 1."""
    seen = _cropped(pixels, least, rng)
    seen = _encoded(_blurred(_lit(seen, TINT, rng), rng), rng)
    return _noisy(seen, rng)


def lit(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """The whole of each picture in slightly different light, as -1 to 1."""
    return _noisy(_lit(pixels, SLIGHT_TINT, rng), rng)


def _noisy(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return 2 * (pixels + 0.015 * torch.randn(pixels.shape, generator=rng)) - 1


def _cropped(pixels: torch.Tensor, least: float, rng: torch.Generator) -> torch.Tensor:
    count = len(pixels)

    def spread(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, BOXES, generator=rng)

    area, aspect = spread(least, 1.0), torch.exp(spread(math.log(3 / 4), math.log(4 / 3)))
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = spread(-1, 1) * (1 - wide), spread(-1, 1) * (1 - high)  # centres, in half pictures
    contrast = (pixels - pixels.mean(dim=(2, 3), keepdim=True)).abs().mean(dim=1)
    held = _contrast_in(contrast, x, y, wide, high) / (wide * high)
    best = held.argmax(dim=1, keepdim=True)
    wide, high, x, y = (values.gather(1, best).squeeze(1) for values in (wide, high, x, y))
    nought = torch.zeros(count)
    boxes = torch.stack([torch.stack([wide, nought, x], 1), torch.stack([nought, high, y], 1)], 1)
    grid = affine_grid(boxes, list(pixels.shape), align_corners=False)
    return grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def _contrast_in(
    contrast: torch.Tensor, x: torch.Tensor, y: torch.Tensor, wide: torch.Tensor, high: torch.Tensor
) -> torch.Tensor:
    side = contrast.shape[-1]
    summed = torch.nn.functional.pad(contrast.cumsum(1).cumsum(2), (1, 0, 1, 0))
    left, right, top, bottom = (
        ((1 + centre + way * half) / 2 * side).round().long().clamp(0, side)
        for centre, half in ((x, wide), (y, high))
        for way in (-1, 1)
    )
    row = torch.arange(len(contrast))[:, None]
    return (
        summed[row, bottom, right] - summed[row, top, right] - summed[row, bottom, left] + summed[row, top, left]
    ) / side**2


def _lit(pixels: torch.Tensor, tint: float, rng: torch.Generator) -> torch.Tensor:
    """Change the light: tint and brightness, and a gradient of both across the picture."""
    count, _, side, _ = pixels.shape

    def about(spread: float, channels: int) -> torch.Tensor:
        return spread * (2 * torch.rand(count, channels, 1, 1, generator=rng) - 1)

    across = torch.linspace(-1, 1, side)
    slope = about(0.08, 3) * across + about(0.08, 3) * across[:, None]
    return (pixels * (1 + about(0.15, 1) + about(tint, 3) + slope)).clamp(0, 1)


def _blurred(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    seen = pixels.clone()
    strength = torch.rand(len(pixels), generator=rng)
    for size, low, high in ((3, 0.0, 0.6), (5, 0.6, 1.0)):
        some = (strength >= low * BLUR_SHARE) & (strength < high * BLUR_SHARE)
        blurred = avg_pool2d(seen[some], size, 1, size // 2, count_include_pad=False)
        seen[some] = blurred
    return seen


def _encoded(pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Compress some of the pictures as JPEG of low quality."""
    seen = pixels.clone()
    for at in (torch.rand(len(pixels), generator=rng) < JPEG_SHARE).nonzero().flatten().tolist():
        target = io.BytesIO()
        picture = (pixels[at].permute(1, 2, 0) * 255).byte().numpy()
        Image.fromarray(picture).save(target, "JPEG", quality=int(torch.randint(30, 85, (1,), generator=rng)))
        seen[at] = torch.from_numpy(np.array(Image.open(target))).permute(2, 0, 1) / 255
    return seen
