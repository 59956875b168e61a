"""Converts a cosine into a score of 0 to 1 that is comparable between models, if the model has a calibration.

A model's folder may hold `calibration.json`: for each direction, `slope` and `middle` of a logistic function, as in
Platt's scaling of classifier scores (Probabilistic outputs for support vector machines, 1999).
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_retrieval.errors import UserError
from image_retrieval.models.json_file import require_size

FILE = "calibration.json"
IMAGES = "image_image"
TEXTS = ("text_image_en", "text_image_zh")
DIRECTIONS = (IMAGES, *TEXTS)
SAME = 1 - 1e-6  # least cosine that counts as 1: half precision moves a vector by less than that
CUTOFF = 0.5  # results under this score are hidden by default
CJK = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclass(frozen=True, slots=True)
class Calibration:
    """The cosine `middle` has the score 0.5; `slope`, above 0, is the steepness there.

    With the fitted logistic function p(c) = 1 / (1 + exp(slope · (middle - c))), the score of a cosine c is

        p(c)                                          up to the middle,
        0.5 + 0.5 · (p(c) - 0.5) / (p(1) - 0.5)       from there on,

    so it never falls as c rises, is 0.5 where p is, and 1 for a picture compared with itself, which p alone would not
    reach. If `middle` is 1 or more, the score is p(c) for every cosine under SAME.
    """

    slope: float
    middle: float

    def score(self, cosine: float) -> float:
        """The score, 0 to 1, of a cosine; 1 from SAME on."""
        if cosine >= SAME:
            return 1.0
        fitted = self._fitted(cosine)
        if cosine <= self.middle:
            return fitted
        return min(1.0, 0.5 + 0.5 * (fitted - 0.5) / (self._fitted(1.0) - 0.5))

    def cosine(self, score: float) -> float:
        """The least cosine that reaches a score; -infinity for 0 and less, infinity for more than 1."""
        if score <= 0 or score > 1:
            return -math.inf if score <= 0 else math.inf
        if score > 0.5:
            score = 0.5 + max(0.0, score - 0.5) * 2 * (self._fitted(1.0) - 0.5) if self.middle < 1 else 1.0
        return min(SAME, self.middle + math.log(score / (1 - score)) / self.slope) if score < 1 else SAME

    def _fitted(self, cosine: float) -> float:
        return 1 / (1 + math.exp(min(700.0, self.slope * (self.middle - cosine))))


def score_of(similarity: float, calibration: Calibration | None) -> float:
    """The calibrated score of a similarity, else the similarity itself, rounded to 1 if it nearly is."""
    if calibration is not None:
        return calibration.score(similarity)
    return 1.0 if abs(similarity - 1) <= 1 - SAME else similarity


def text_direction(text: str) -> str:
    """The direction of a search by this text: Chinese if it has a Chinese character, else English."""
    return "text_image_zh" if CJK.search(text) else "text_image_en"


def read_calibration(folder: Path) -> dict[str, Any] | None:
    """The content of the folder's calibration.json, or None if there is none. Raises UserError if it is broken."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        require_size(path)
        found: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")).items())
        for direction in DIRECTIONS:
            calibration_of(found, direction)
    except (ValueError, ArithmeticError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{path} is not a calibration ({type(error).__name__}: {error}): create it again, or delete it"
        ) from None
    return found


def directions_of(family: str) -> tuple[str, ...]:
    """The directions that a model of a family can be searched in: a text encoder has captions stand for images."""
    return {"dual_encoder": DIRECTIONS, "text_encoder": TEXTS}.get(family, (IMAGES,))


def usable_calibrations(found: Any) -> dict[str, Any] | None:
    """A model's calibrations from the database, or None if there are none or they cannot be used."""
    try:
        for direction in DIRECTIONS:
            calibration_of(found, direction)
    except (ValueError, ArithmeticError, TypeError, AttributeError, KeyError):
        return None
    return found or None


def calibration_of(found: dict[str, Any] | None, direction: str | None) -> Calibration | None:
    """The calibration for a direction among a model's calibrations, or None."""
    entry = (found or {}).get(direction or "")
    if entry is None:
        return None
    slope, middle = float(entry["slope"]), float(entry["middle"])
    if not (math.isfinite(middle) and 0 < slope < math.inf):
        raise ValueError(f"{direction} has slope {slope} and middle {middle}")
    return Calibration(slope, middle)
