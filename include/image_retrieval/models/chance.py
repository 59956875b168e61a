"""Fits a calibration without labels: the score of a cosine tells how unlikely such a cosine is by chance.

Far above the usual cosines, the number E(c) of chance results with a cosine of c or more falls exponentially. With the
rate r of such results that a search may show, the score 1 / (1 + E(c) / r) is a logistic function of c. It is 0.5 where
E(c) is r, and its slope is 1 / scale, where E falls by a factor of e over each `scale`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from image_retrieval.models.calibration import SAME, Calibration

RATE = 0.05  # chance results at the cutoff, per search
BODY, TAIL = 0.75, 0.95  # quantiles between which the fall is measured; above, pairs may be alike for a reason
LOST = 0.25  # share of the altered copies that a cutoff may hide
NAMED = 0.5  # share of the pictures whose best phrase may stay under a cutoff
MOST_NAMED = 0.75  # the same, where the size of the collection asks for more
SPREAD = 1e-4  # least scale: half precision moves a cosine by a tenth of that
LEAST_VECTORS, LEAST_COPIES = 30, 16
Cosines = NDArray[np.float64]


class NotFitted(Exception):
    """A sample that no calibration can be fitted to; the text is the reason."""


def random_pairs(vectors: NDArray[np.float32]) -> Cosines:
    """The cosines of all pairs of different rows of vectors of length 1, which are random ones of a collection."""
    cosines: Cosines = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)].astype(np.float64)
    return cosines


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


def fit_texts(best: Cosines, named: Cosines, vectors: int, sampled: int) -> Calibration:
    """The calibration of searches by texts of one language in a collection of `vectors` vectors.

    `best`: for each phrase about nothing, its highest cosine among `sampled` of the vectors. Such maxima have a Gumbel
    distribution. Its scale and place come from the quartiles, so a phrase that happens to be about something does not
    count. At most RATE of the maxima reach the cutoff.

    `named`: for each of the sampled vectors, its highest cosine among phrases that name things. Texts that are half
    right reach cosines far above chance. So the cutoff is also no less than what half of the pictures (NAMED) reach
    under the phrase that fits them best.

    In a collection larger than the sample, chance reaches higher: as far as its fall goes on like this, which it does
    not up to 1. So its size raises the cutoff no further than to what a quarter of the pictures reach (MOST_NAMED).
    Raises NotFitted.
    """
    _require_numbers(best, named)
    lower, median, upper = (float(value) for value in np.quantile(best, (0.25, 0.5, 0.75)))
    scale = (upper - lower) / (math.log(-math.log(0.25)) - math.log(-math.log(0.75)))
    if scale < SPREAD:
        raise NotFitted("all texts are alike to the pictures under this model")
    place = median + scale * math.log(math.log(2))
    middle = place - scale * math.log(-math.log(1 - RATE))
    shown = np.quantile(best, 1 - RATE, method="higher")  # and no less than what the phrases themselves reach
    middle = max(middle, float(np.nextafter(shown, math.inf)))
    larger = middle + scale * math.log(max(1.0, vectors / sampled))
    if not len(named):
        return _calibration(scale, larger)
    least, most = (float(value) for value in np.quantile(named, (NAMED, MOST_NAMED)))
    return _calibration(scale, max(middle, least, min(larger, most)))


def _require_numbers(*cosines: Cosines) -> None:
    if not len(cosines[0]):
        raise NotFitted("there are no vectors to compare")
    if not all(np.isfinite(found).all() for found in cosines):
        raise NotFitted("the model gives vectors with NaN or infinite components")


def _calibration(scale: float, middle: float) -> Calibration:
    if not middle < SAME:
        raise NotFitted("chance alone would reach any cosine: pairs are too alike under this model, or too many")
    return Calibration(1 / scale, middle)
