"""Calibrations that are fitted on pairs."""

from dataclasses import asdict

import numpy as np
import pytest

from image_retrieval.errors import UserError
from image_retrieval.models.calibration import Calibration, calibration_of
from image_retrieval.models.shipped import DUAL
from image_retrieval.training.calibrate import ABSENT, QUIET, RIGHT, calibrate, fit

NONE = np.empty(0, np.float32)


def pairs(seed: int, right_at: float, wrong_at: float, spread: float = 0.1):
    """Cosines of 200 queries and 100 images, of which a tenth is right."""
    rng = np.random.default_rng(seed)
    right = rng.random((200, 100)) < 0.1
    cosines = np.where(right, right_at, wrong_at) + rng.normal(0, spread, right.shape)
    return cosines.astype(np.float32), right


def test_what_is_shown_is_right_on_pairs_that_it_was_not_fitted_on():
    fitted = fit(*pairs(0, 0.6, 0.3), NONE, "drawn")
    cosines, right = pairs(1, 0.6, 0.3)
    shown = cosines >= fitted.middle
    assert right[shown].mean() >= 0.95
    assert right[shown].sum() > 0.3 * right.sum()
    assert fitted.right >= RIGHT


def test_pairs_that_lie_apart_are_all_told():
    fitted = fit(*pairs(0, 0.9, 0.1, 0.02), NONE, "drawn")
    assert 0.15 < fitted.middle < 0.85
    assert Calibration(fitted.slope, fitted.middle).score(0.9) > 0.9


def test_queries_without_an_answer_show_nothing():
    absent = np.linspace(0.4, 0.8, 100).astype(np.float32)
    fitted = fit(*pairs(0, 0.9, 0.1, 0.02), absent, "drawn")
    assert (absent < fitted.middle).mean() >= QUIET


def test_where_nothing_can_be_told_apart_nothing_is_shown():
    cosines, right = pairs(0, 0.32, 0.3)
    fitted = fit(cosines, right, NONE, "drawn")
    assert fitted.shown <= 0.1 * right.sum()


def test_where_right_pairs_are_less_alike_it_is_told():
    with pytest.raises(UserError, match="no more alike"):
        fit(*pairs(0, 0.1, 0.6), NONE, "drawn")


def test_texts_about_nothing_that_is_drawn_are_as_many_in_both_languages():
    assert len(ABSENT["en"]) == len(ABSENT["zh"]) == len(set(ABSENT["en"])) == len(set(ABSENT["zh"]))


@pytest.mark.slow
def test_a_dual_encoder_is_calibrated_in_every_direction():
    found = {direction: asdict(fitted) for direction, fitted in calibrate(DUAL, 200).items()}
    assert list(found) == ["image_image", "text_image_en", "text_image_zh"]
    for direction, entry in found.items():
        assert calibration_of(found, direction) == Calibration(entry["slope"], entry["middle"])
        assert entry["right"] >= 0.95
