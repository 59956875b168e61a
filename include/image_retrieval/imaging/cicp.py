"""Converts colours given by code points (ITU-T H.273, CICP), such as BT.2020, Display P3, PQ and HLG, to 8-bit sRGB."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, np.dtype[np.float32]]
White = tuple[float, float]
D65: White = (0.3127, 0.3290)
# x and y of red, green, blue, and of white: H.273, table 2
PRIMARIES: dict[int, tuple[White, White, White, White]] = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65),  # BT.709, sRGB
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), (0.310, 0.316)),  # BT.470 M
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),  # BT.601, 625 lines
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),  # BT.601, 525 lines
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),  # SMPTE 240M
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),  # BT.2020 and BT.2100
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),  # DCI P3
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65),  # EBU 3213
}
GAMMA_22, GAMMA_28, LINEAR, PQ, HLG = 4, 5, 8, 16, 18  # transfer characteristics: H.273, table 3
WHITE_NITS = 203.0  # diffuse white of HDR: ITU-R BT.2408-7, table 1
PEAK_NITS = 1000.0  # of the display on which HLG and most PQ is graded; anything brighter is white
ROWS_AT_ONCE = 2**20  # pixels, each of which takes some 50 bytes during conversion


@dataclass(frozen=True, slots=True)
class Cicp:
    """Code points of a picture's primaries and transfer characteristics."""

    primaries: int
    transfer: int

    @property
    def hdr(self) -> bool:
        """Whether the picture is HDR: brighter than white."""
        return self.transfer in (PQ, HLG)


def to_srgb(image: Image.Image, cicp: Cicp) -> Image.Image:
    """An 8-bit RGB picture in sRGB. Unknown primaries or transfer count as those of sRGB."""
    if cicp.primaries in (1, *_unknown(cicp.primaries)) and _linear(cicp.transfer) is None:
        return image
    width, height = image.size
    rows = max(1, ROWS_AT_ONCE // width)
    found = Image.new("RGB", image.size)
    for top in range(0, height, rows):
        box = (0, top, width, min(height, top + rows))
        found.paste(Image.fromarray(_converted(np.asarray(image.crop(box)), cicp)), box[:2])
    return found


def _unknown(primaries: int) -> tuple[int, ...]:
    return () if primaries in PRIMARIES else (primaries,)


def _converted(pixels: "np.ndarray[Any, np.dtype[np.uint8]]", cicp: Cicp) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    light = _light(cicp.transfer)[pixels]
    if cicp.transfer == HLG:
        luma = (0.2627, 0.6780, 0.0593)
        light = light * np.maximum(light @ np.array(luma, np.float32), 1e-6)[..., None] ** 0.2  # BT.2100, table 5: OOTF
        light *= PEAK_NITS / WHITE_NITS
    if cicp.hdr:
        light = _tone_mapped(light)
    if cicp.primaries in PRIMARIES and cicp.primaries != 1:
        light = light @ _to_bt709(cicp.primaries).T
    values: np.ndarray[Any, np.dtype[np.uint8]] = (_encoded(np.clip(light, 0, 1)) * 255 + 0.5).astype(np.uint8)
    return values


def _tone_mapped(light: Array) -> Array:
    """Compress light up to the peak to light up to white, which is 1: ITU-R BT.2390-11, 5.4.1, on the brightest band.

    Light below about 87 nits stays as it is, including mid grey. The hue stays, since the bands keep their proportions.
    """
    brightest = light.max(axis=-1, keepdims=True)
    peak, white = (float(_pq(np.float64(nits))) for nits in (PEAK_NITS, WHITE_NITS))
    given = np.minimum(_pq(brightest * WHITE_NITS) / peak, 1)
    most = white / peak
    knee = 1.5 * most - 0.5
    t = (given - knee) / (1 - knee)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )  # Hermite's, from the knee to the peak
    wanted = _nits_of_pq(np.where(given < knee, given, spline) * peak) / WHITE_NITS
    mapped: Array = (light * (wanted / np.maximum(brightest, 1e-6))).astype(np.float32)
    return mapped


def _pq(nits: Any) -> Any:
    """Inverse EOTF of SMPTE ST 2084, BT.2100 table 4: 0 to 10,000 nits becomes 0 to 1."""
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def _nits_of_pq(values: Any) -> Any:
    power = values ** (1 / 78.84375)
    return 10000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def _of_hlg(values: Any) -> Any:
    """Inverse OETF of BT.2100, table 5: scene light of 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)


def _of_srgb(values: Any) -> Any:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1


def _encoded(light: Any) -> Any:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def _linear(transfer: int) -> Callable[[Any], Any] | None:
    """The function from values of 0 to 1 to light, where white is 1; None for sRGB's curve and equivalent camera
    curves.

    For HLG it gives the light of the scene.
    """
    known: dict[int, Callable[[Any], Any]] = {
        GAMMA_22: lambda values: values**2.2,
        GAMMA_28: lambda values: values**2.8,
        LINEAR: lambda values: values,
        PQ: lambda values: _nits_of_pq(values) / WHITE_NITS,
        HLG: _of_hlg,
    }
    return known.get(transfer)


@lru_cache(8)
def _light(transfer: int) -> Array:
    """The light of each of a band's 256 values."""
    light: Array = (_linear(transfer) or _of_srgb)(np.arange(256) / 255).astype(np.float32)
    return light


@lru_cache(8)
def _to_bt709(primaries: int) -> Array:
    """Linear RGB of these primaries to linear RGB of BT.709: SMPTE RP 177; white becomes white."""
    matrix = np.linalg.inv(_to_xyz(1)) @ _to_xyz(primaries)
    scaled: Array = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def _to_xyz(primaries: int) -> "np.ndarray[Any, np.dtype[np.float64]]":
    *bands, white = ((x / y, 1.0, (1 - x - y) / y) for x, y in PRIMARIES[primaries])
    columns = np.array(bands).T
    return columns * np.linalg.solve(columns, np.array(white))
