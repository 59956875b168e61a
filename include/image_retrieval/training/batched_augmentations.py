"""Views of whole batches of pictures, computed where the pixels are: crops, mirroring, colours, blur.

Pictures come as uint8 (n, 3, height, width), padded on the right and below, with `sizes` (n, 2): each one's own height
and width. What is drawn per picture is drawn on the CPU, so that a seed gives the same views on every device, and for
any number of processes.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, pad

from image_retrieval.training.ranks import rand

TRIES = 10  # boxes drawn for a crop, of which the first that fits is taken
BLUR_SIDE = 224  # the crop for which sigma is stated, in pixels; that of other crops is in proportion
Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
GREY = (0.299, 0.587, 0.114)  # of Rec. 601, as in Pillow


class View(NamedTuple):
    """How a view is made: its side, the share of the area, and how likely each change is.

    `jitter`: most change of brightness, contrast, saturation (as shares) and hue (in turns), made in this order.
    """

    side: int
    area: tuple[float, float]
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    jittered: float = 0.8
    grey: float = 0.2
    blurred: float = 0.5
    solarized: float = 0.0
    mirrored: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)


def view(pixels: torch.Tensor, sizes: torch.Tensor, how: View, rng: torch.Generator) -> torch.Tensor:
    """A view of each picture: float32 (n, 3, side, side) of 0 to 1. `sizes` are on the CPU, as `rng` is."""
    count = len(pixels)
    boxes = boxes_of(sizes, how.area, rng)
    mirrored = rand(count, rng=rng) < how.mirrored
    seen = cropped(pixels, sizes, boxes, mirrored, how.side)
    chosen, amounts = rand(count, rng=rng) < how.jittered, 2 * rand(count, 4, rng=rng) - 1
    changes = torch.where(chosen[:, None], amounts * torch.tensor(how.jitter), 0.0)
    seen = jittered(seen, changes)
    drawn = rand(count, 3, rng=rng) < torch.tensor([how.grey, how.blurred, how.solarized])
    sigmas = how.sigma[0] + (how.sigma[1] - how.sigma[0]) * rand(count, rng=rng)
    seen = _changed(seen, drawn[:, 0], lambda part, _: grey(part))
    seen = _changed(seen, drawn[:, 1], lambda part, at: blurred(part, sigmas[at] * how.side / BLUR_SIDE))
    return _changed(seen, drawn[:, 2], lambda part, _: torch.where(part >= 0.5, 1 - part, part))


def _changed(pixels: torch.Tensor, which: torch.Tensor, change: Change) -> torch.Tensor:
    """The pictures, those that are marked changed; `change` takes them, and which they are."""
    at = torch.nonzero(which).flatten()
    if not len(at):
        return pixels
    there = at.to(pixels.device)
    return pixels.index_copy(0, there, change(pixels[there], at))


def whole(pixels: torch.Tensor, sizes: torch.Tensor, side: int) -> torch.Tensor:
    """The whole of each picture, brought to a square: float32 (n, 3, side, side) of 0 to 1."""
    boxes = torch.cat([torch.zeros(len(sizes), 2), sizes.flip(1).float()], dim=1)
    return cropped(pixels, sizes, boxes, torch.zeros(len(sizes), dtype=torch.bool), side)


def boxes_of(sizes: torch.Tensor, area: tuple[float, float], rng: torch.Generator) -> torch.Tensor:
    """A random box of each picture, (n, 4): left, top, width, height in pixels, of an aspect of 3:4 to 4:3.

    Where none of the tries fits, the last one is cut to the picture.
    """
    count = len(sizes)
    high, wide = (side.float()[:, None] for side in sizes.unbind(1))
    areas = (area[0] + (area[1] - area[0]) * rand(count, TRIES, rng=rng)) * high * wide
    aspects = torch.exp((2 * rand(count, TRIES, rng=rng) - 1) * math.log(4 / 3))
    widths, heights = (areas * aspects).sqrt(), (areas / aspects).sqrt()
    fits = (widths <= wide) & (heights <= high)
    fits[:, -1] = True
    first = fits.int().argmax(dim=1, keepdim=True)  # of equal ones, argmax takes the first
    width = torch.minimum(widths.gather(1, first), wide).squeeze(1)
    height = torch.minimum(heights.gather(1, first), high).squeeze(1)
    places = rand(count, 2, rng=rng)
    left, top = places[:, 0] * (wide.squeeze(1) - width), places[:, 1] * (high.squeeze(1) - height)
    return torch.stack([left, top, width, height], dim=1)


def cropped(
    pixels: torch.Tensor, sizes: torch.Tensor, boxes: torch.Tensor, mirrored: torch.Tensor, side: int
) -> torch.Tensor:
    """The boxes (n, 4) of pictures, each as side × side pixels of 0 to 1, mirrored where told.

    Sampled bilinearly within the picture; where boxes are larger than the crop, the mean of several samples a pixel.
    """
    fine = max(1, math.ceil(float((boxes[:, 2:] / side).max()) - 0.5)) if len(boxes) else 1
    steps = (torch.arange(side * fine) + 0.5) / (side * fine)
    across = torch.where(mirrored[:, None], 1 - steps, steps)
    x = boxes[:, :1] + across * boxes[:, 2:3]
    y = boxes[:, 1:2] + steps * boxes[:, 3:]
    high, wide = sizes[:, :1].float(), sizes[:, 1:].float()
    x = torch.minimum(x.clamp(min=0.5), wide - 0.5) * 2 / pixels.shape[3] - 1  # so that no padding is read
    y = torch.minimum(y.clamp(min=0.5), high - 0.5) * 2 / pixels.shape[2] - 1
    count, length = x.shape
    grid = torch.stack([x[:, None].expand(count, length, length), y[:, :, None].expand(count, length, length)], dim=3)
    values = pixels.float() / 255
    found = grid_sample(values, grid.to(pixels.device), mode="bilinear", padding_mode="border", align_corners=False)
    return avg_pool2d(found, fine) if fine > 1 else found


def jittered(pixels: torch.Tensor, changes: torch.Tensor) -> torch.Tensor:
    """Brightness, contrast, saturation and hue changed by `changes` (n, 4): shares, and turns of hue."""
    brightness, contrast, saturation, hue = (
        part.view(-1, 1, 1, 1) for part in changes.to(pixels.device, non_blocking=True).unbind(1)
    )
    seen = (pixels * (1 + brightness)).clamp(0, 1)
    middle = grey(seen)[:, :1].mean(dim=(2, 3), keepdim=True)
    seen = (middle + (seen - middle) * (1 + contrast)).clamp(0, 1)
    flat = grey(seen)
    seen = (flat + (seen - flat) * (1 + saturation)).clamp(0, 1)
    return turned(seen, hue.squeeze(1)) if bool((changes[:, 3] != 0).any()) else seen


def grey(pixels: torch.Tensor) -> torch.Tensor:
    """Each pixel's luma in all three channels."""
    weights = torch.tensor(GREY, device=pixels.device).view(1, 3, 1, 1)
    return (pixels * weights).sum(dim=1, keepdim=True).expand_as(pixels)


def turned(pixels: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """The hue (of HSV) turned by `turns` (n, 1, 1)."""
    most, least = pixels.amax(dim=1), pixels.amin(dim=1)
    spread = most - least
    red, green, blue = pixels.unbind(1)
    by = torch.where(spread > 0, spread, 1.0)
    hue = torch.where(
        most == red,
        (green - blue) / by,
        torch.where(most == green, 2 + (blue - red) / by, 4 + (red - green) / by),
    )
    hue = 6 * ((hue / 6 + turns) % 1)
    parts = []
    for shift in (5, 3, 1):
        place = (shift + hue) % 6
        parts.append(most - spread * torch.minimum(place, 4 - place).clamp(0, 1))
    return torch.stack(parts, dim=1)


def blurred(pixels: torch.Tensor, sigmas: torch.Tensor) -> torch.Tensor:
    """Each picture blurred by a Gaussian of its own sigma (pixels), cut at three sigmas of the largest."""
    count, channels, high, wide = pixels.shape
    reach = min(max(1, math.ceil(3 * float(sigmas.max()))), high - 1, wide - 1)
    if reach < 1:
        return pixels
    offsets = torch.arange(-reach, reach + 1)
    kernels = torch.exp(-(offsets**2) / (2 * sigmas[:, None] ** 2))
    kernels = (kernels / kernels.sum(dim=1, keepdim=True)).to(pixels.device).repeat_interleave(channels, dim=0)
    flat = pad(pixels, (reach, reach, reach, reach), mode="reflect").flatten(0, 1)[None]
    flat = conv2d(flat, kernels[:, None, None, :], groups=count * channels)
    flat = conv2d(flat, kernels[:, None, :, None], groups=count * channels)
    return flat.view(count, channels, high, wide)
