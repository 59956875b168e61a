"""What a picture looks like: its colours by name, how sharp it is, and how much it shows."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.imaging import simd

JUDGED_SIDE = 224  # pixels of the longer side at which sharpness and complexity are measured
LEAST_SHARE = 0.06  # of a picture, that a colour covers if it is named
LEAST_VIVID = 0.02  # that a vivid colour covers: a small red thing makes a picture red, a small grey one does not grey
EDGE = 24 / 255  # difference of two neighbours' brightness that counts as an edge
LEVELS = 32  # of each channel, to which colours are rounded before they are named

# The eleven basic colour terms (B. Berlin and P. Kay, Basic Color Terms, 1969), each with colours that bear the name:
# named colours of CSS Color Module Level 4, and mixtures of them. A colour has the name of the nearest one.
ANCHORS = {
    "black": "000000 141414 262626",
    "white": "ffffff f5f5f5 fffff0 f0f8ff fff5ee",
    "grey": "808080 a9a9a9 c8c8c8 696969 4d4d4d 3a3a3a",
    "red": "ff0000 dc143c b22222 8b0000 cd3333 ff4040 e32636 5c0a0a a63c3c c8505a",
    "orange": "ffa500 ff8c00 ff7f50 f58220 e67e22 ffb347",
    "brown": "8b4513 a0522d 654321 cd853f d2b48c 4b2e1a 7b5b3a b08d5b 9b7f66",
    "yellow": "ffff00 ffd700 f0e68c fff44f daa520 e6d200 fafa8c",
    "green": "008000 00ff00 006400 228b22 90ee90 808000 556b2f 2e8b57 98fb98 "
    "6b8e23 32cd32 9acd32 1f3d1f 66cdaa 6f8f6f 3f5f3f",
    "blue": "0000ff 000080 4169e1 1e90ff 87ceeb add8e6 00ffff 008b8b 5f9ea0 "
    "191970 4682b4 48d1cc 3c6496 7f9db5 5a7388 a7c0d2 2f4f66",
    "purple": "800080 9932cc 8a2be2 4b0082 9370db dda0dd b19cd9 6a5acd 48104d",
    "pink": "ffc0cb ff69b4 ff1493 ffb6c1 db7093 ff00ff e4a0b7",
}
COLOURS = tuple(ANCHORS)
LEAST = np.array([LEAST_SHARE if name in ("black", "white", "grey", "brown") else LEAST_VIVID for name in COLOURS])

Grey = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Looks:
    """The names of a picture's colours, the largest first, joined by commas; its sharpness and complexity.

    `sharpness` is the variance of the Laplacian of the brightness (0 to 1), times 1,000 (J. L. Pech-Pacheco et al.,
    Diatom autofocusing in brightfield microscopy, 2000). `complexity` is the share of pixels at an edge,
    0 to 1. Both are of the picture that a model reads, at JUDGED_SIDE or less.
    """

    colours: str
    sharpness: float
    complexity: float


def looks_of(whole: Image.Image, small: Image.Image) -> Looks:
    """How a picture looks. `whole` is all of it, stretched to HASHED_SIDE²; `small` is what a model reads."""
    grey: Grey = np.asarray(_judged(small).convert("L"), np.float32) / np.float32(255)
    return Looks(colours_of(whole), round(_sharpness(grey), 4), round(_complexity(grey), 4))


def colours_of(image: Image.Image) -> str:
    """The names of the colours that cover enough of a picture, or else of the largest one; the largest first."""
    pixels = np.asarray(image.convert("RGB"), np.intp).reshape(-1, 3) * LEVELS // 256
    named = _names()[pixels[:, 0], pixels[:, 1], pixels[:, 2]]
    shares = np.bincount(named, minlength=len(COLOURS)) / len(named)
    order = np.argsort(-shares, kind="stable")
    return ",".join(COLOURS[at] for at in order if shares[at] >= LEAST[at]) or COLOURS[order[0]]


@cache
def _names() -> NDArray[np.intp]:
    """For each colour (LEVELS³), the place of its name in COLOURS."""
    steps = (np.arange(LEVELS) + 0.5) * 256 / LEVELS
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    anchors = [(at, bytes.fromhex(code)) for at, name in enumerate(COLOURS) for code in ANCHORS[name].split()]
    places = _oklab(np.array([list(rgb) for _, rgb in anchors], np.float64))
    near = np.concatenate([_distances(part, places).argmin(axis=1) for part in np.split(_oklab(cube), LEVELS)])
    return np.asarray(np.array([at for at, _ in anchors])[near].reshape(LEVELS, LEVELS, LEVELS))


def _distances(colours: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((colours[:, None] - places[None]) ** 2).sum(axis=-1))


def _oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB values of 0 to 255 (colours, 3) in Oklab (B. Ottosson, A perceptual color space, 2020), lightness halved."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    lab = cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
    return np.asarray(lab * [0.4, 1, 1])


def _judged(image: Image.Image) -> Image.Image:
    longer = max(image.size)
    if longer <= JUDGED_SIDE:
        return image
    width, height = (max(1, round(side * JUDGED_SIDE / longer)) for side in image.size)
    return simd.mean(image.convert("RGB"), (width, height), (0, 0, *image.size))


def _sharpness(grey: Grey) -> float:
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * inner).var() * 1000)


def _complexity(grey: Grey) -> float:
    if min(grey.shape) < 2:
        return 0.0
    here = grey[:-1, :-1]
    edges = np.maximum(np.abs(grey[1:, :-1] - here), np.abs(grey[:-1, 1:] - here)) > EDGE
    return float(edges.mean())
