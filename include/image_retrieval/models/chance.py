"""Fits a calibration without labels: the score of a cosine tells how unlikely such a cosine is by chance.

Far above the usual cosines, the number E(c) of chance results with a cosine of c or more falls exponentially. With the
rate r of such results that a search may show, the score 1 / (1 + E(c) / r) is a logistic function of c. It is 0.5 where
E(c) is r, and its slope is 1 / scale, where E falls by a factor of e over each `scale`.
"""

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from image_retrieval.models.calibration import SAME, Calibration

RATE = 0.05  # chance results at the cutoff, per search
BODY, TAIL = 0.75, 0.95  # quantiles between which the fall is measured; above, pairs may be alike for a reason
LOST = 0.05  # share of the copies that a cutoff may hide
SPREAD = 1e-4  # least scale: half precision moves a cosine by a tenth of that
LEAST_VECTORS, LEAST_COPIES, LEAST_PHRASES = 30, 16, 40
EULER = 0.5772156649
Cosines = NDArray[np.float64]


class NotFitted(Exception):
    """A sample that no calibration can be fitted to; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Everyday phrases that are about nothing that a picture shows, by language."""

    version: int
    en: tuple[str, ...]
    zh: tuple[str, ...]


@cache
def everyday_phrases() -> Phrases:
    """The phrases that texts are calibrated with, of phrases.json; a change of the list has a version of its own."""
    found = json.loads(files("image_retrieval.models").joinpath("phrases.json").read_text(encoding="utf-8"))
    return Phrases(found["version"], tuple(found["en"]), tuple(found["zh"]))


def fit_images(pairs: Cosines, copies: Cosines, vectors: int) -> Calibration:
    """The calibration of searches by pictures in a collection of `vectors` vectors.

    `pairs`: cosines of random pairs of its pictures. `copies`: those of altered copies with their pictures; none if no
    picture can be read. The rate holds if pairs are alike by chance alone. The cutoff hides at most LOST of the copies,
    even if more than the rate are then shown. Raises NotFitted.
    """
    _require_numbers(pairs, copies)
    body, tail = (float(value) for value in np.quantile(pairs, (BODY, TAIL)))
    scale = (tail - body) / math.log((1 - BODY) / (1 - TAIL))
    if scale < SPREAD:
        raise NotFitted("all pictures are alike under this model")
    middle = tail + scale * math.log(vectors * (1 - TAIL) / RATE)
    if len(copies) >= LEAST_COPIES:
        least = float(np.quantile(copies, LOST, method="lower"))
        if least <= tail:
            raise NotFitted("altered copies of pictures are no more alike than random pairs under this model")
        middle = min(middle, least)
    return _calibration(scale, middle)


def fit_texts(best: Cosines, vectors: int, sampled: int) -> Calibration:
    """The calibration of searches by texts of one language in a collection of `vectors` vectors.

    `best`: for each phrase about nothing, its highest cosine among `sampled` of the vectors. Such maxima have a Gumbel
    distribution. Its scale and place come from the quartiles, so a phrase that happens to be about something does not
    count. At most RATE of the maxima reach the cutoff. Raises NotFitted.
    """
    _require_numbers(best)
    if len(best) < LEAST_PHRASES:
        raise NotFitted("the model is too slow here to embed enough phrases")
    lower, median, upper = (float(value) for value in np.quantile(best, (0.25, 0.5, 0.75)))
    scale = (upper - lower) / (math.log(-math.log(0.25)) - math.log(-math.log(0.75)))
    if scale < SPREAD:
        raise NotFitted("all texts are alike to the pictures under this model")
    place = median + scale * math.log(math.log(2))
    middle = place - scale * math.log(-math.log(1 - RATE))
    shown = np.quantile(best, 1 - RATE, method="higher")  # and no less than what the phrases themselves reach
    middle = max(middle, float(np.nextafter(shown, math.inf)))
    return _calibration(scale, middle + scale * math.log(max(1.0, vectors / sampled)))


def _require_numbers(*cosines: Cosines) -> None:
    if not len(cosines[0]):
        raise NotFitted("there are no vectors to compare")
    if not all(np.isfinite(found).all() for found in cosines):
        raise NotFitted("the model gives vectors with NaN or infinite components")


def _calibration(scale: float, middle: float) -> Calibration:
    if not middle < SAME:
        raise NotFitted("random pairs are as alike as a picture and itself under this model")
    return Calibration(1 / scale, middle)
