"""From cosines to scores and back."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.errors import UserError
from image_retrieval.models.calibration import (
    DIRECTIONS,
    SAME,
    TEXTS,
    Calibration,
    calibration_of,
    directions_of,
    read_calibration,
    score_of,
    text_direction,
)

COSINES = st.floats(-1, 1)


MIDDLES = st.floats(-1, 0.99)


@given(COSINES, COSINES, st.floats(0.1, 1000), st.floats(-1, 2))
def test_scores_never_fall_and_stay_within_0_and_1(a, b, slope, middle):
    calibration = Calibration(slope, middle)
    assert 0 <= calibration.score(a) <= 1
    assert a > b or calibration.score(a) <= calibration.score(b)


@given(st.floats(0.1, 1000), st.floats(-1, 2), st.floats(SAME, 1.001))
def test_a_picture_is_wholly_like_itself_under_every_calibration(slope, middle, cosine):
    assert Calibration(slope, middle).score(cosine) == 1
    assert score_of(1.0, Calibration(slope, middle)) == score_of(1 - 1e-7, None) == 1


@given(st.floats(0.1, 1000), MIDDLES, st.floats(0, 1))
def test_up_to_the_middle_a_score_is_what_was_fitted(slope, middle, share):
    calibration = Calibration(slope, middle)
    cosine = middle - share
    assert calibration.score(middle) == 0.5
    assert calibration.score(cosine) == pytest.approx(1 / (1 + math.exp(min(700, slope * (middle - cosine)))))


@given(st.floats(0.01, 0.99), st.floats(1, 100), MIDDLES)
def test_the_cosine_of_a_score_has_that_score(score, slope, middle):
    calibration = Calibration(slope, middle)
    assert calibration.score(calibration.cosine(score)) == pytest.approx(score, abs=1e-3)


def test_the_ends_are_at_and_beyond_every_cosine():
    calibration = Calibration(10, 0.5)
    assert calibration.cosine(0) < -1
    assert calibration.cosine(1) == SAME
    assert calibration.cosine(1.1) > 1


def test_where_no_cosine_is_enough_only_the_same_picture_is():
    calibration = Calibration(10, 1.2)
    assert calibration.cosine(0.5) == calibration.cosine(0.7) == SAME
    assert calibration.score(0.99) < 0.5


def test_a_similarity_without_calibration_is_its_own_score():
    assert [score_of(value, None) for value in (-0.5, 0.3, 0.9999, 7.5)] == [-0.5, 0.3, 0.9999, 7.5]


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("two red circles", "text_image_en"),
        ("两个红色圆形", "text_image_zh"),
        ("a 圆", "text_image_zh"),
        ("été", "text_image_en"),
    ],
)
def test_a_text_tells_its_language(text, direction):
    assert text_direction(text) == direction


def test_a_family_is_searched_by_what_it_reads():
    assert directions_of("text_encoder") == TEXTS == ("text_image_en", "text_image_zh")
    assert directions_of("dual_encoder") == DIRECTIONS == ("image_image", *TEXTS)
    assert directions_of("vision_transformer") == directions_of("pooled_backbone") == ("image_image",)


def test_a_model_without_a_calibration_has_none(tmp_path):
    assert read_calibration(tmp_path) is None
    assert calibration_of(None, "image_image") is None
    assert calibration_of({"image_image": {"slope": 2, "middle": 0.5}}, "text_image_en") is None


def test_a_calibration_is_read(tmp_path):
    given = {"image_image": {"slope": 20, "middle": 0.5, "shown": 10, "right": 1.0, "source": "pairs"}}
    (tmp_path / "calibration.json").write_text(json.dumps(given))
    assert calibration_of(read_calibration(tmp_path), "image_image") == Calibration(20, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"image_image": {}}',
        '{"image_image": {"slope": -1, "middle": 0}}',
        '{"image_image": {"slope": 1%s, "middle": 0}}' % ("0" * 400),
        "NaN",
    ],
)
def test_a_broken_one_is_told(tmp_path, text):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(UserError, match=r"calibration\.json is not a calibration"):
        read_calibration(tmp_path)
